package main

import "github.com/spf13/cobra"

// topic is a page of the manual that is no verb: "dovetail help locations".
type topic struct{ name, short, text string }

func (t topic) command() *cobra.Command {
	return &cobra.Command{Use: t.name, Short: t.short, Long: t.text}
}

var topics = []topic{
	{"locations", "How stores are named", `A store is named as in Dovecot's mail_location: the format, a colon, the path, and
keys after further colons.

  maildir:/home/ann/Maildir                        Maildir++: folders are .Work.2019
  maildir:/home/ann/Maildir:LAYOUT=fs              folders are Work/2019
  courier:/home/ann/Maildir:VERSION=4              Courier-IMAP's lists instead of Dovecot's
  mbox:/home/ann/mail:INBOX=/var/mail/ann          a folder of mbox files, INBOX elsewhere
  mbox:/tmp/old.mbox                               one mbox file (as a source)
  sdbox:/srv/mail/ann                              one file a message, with Dovecot's index
  mdbox:/srv/mail/ann                              many messages a file

Keys, as in Dovecot: INDEX= CONTROL= INBOX= ALT= name other places for a part of
the files, LAYOUT= is how folders lie on disk (Maildir++, fs, index), UTF-8 says
that names are not encoded. Further ones of our own: ESCAPE=C is the escape
character of names (Dovecot's plugin listescape), ATTACHMENTS=DIR is Dovecot's
setting mail_attachment_dir, DIALECT=o|rd|cl|cl2 says how a foreign mbox marks
its messages, VERSION=4|5 which Courier-IMAP it is (else found by looking). "~" is your home directory, "::" a colon in a path. Without a format
in front a store that exists is recognised.`},
	{"formats", "What each format can hold", `                        mbox   Maildir   courier   sdbox   mdbox
  as a source           yes    yes       yes       yes     yes
  as a target           yes    yes       yes       yes     yes
  UIDs, UIDVALIDITY     yes    yes       yes       yes     yes
  flags, keywords       yes    yes       yes       yes     yes
  mailbox GUIDs         no     yes       no        yes     yes
  message GUIDs         no     yes       no        yes     yes
  POP3 UIDL and order   no     yes       most      yes     yes
  modseqs               no     yes       no        yes     yes
  save dates            no     no        no        no      yes   (else they become the time of conversion)
  mailboxes in others   no     yes       yes       yes     yes   (an mbox that holds mail is a file)

courier is a Maildir with the lists of Courier-IMAP. Its POP3 server knows UIDLs of
the forms UIDn and UIDn-v, and names of files, which are chosen to show other ones;
it shows messages in the order of these names.

Maildir's file names hold 26 keywords for each mailbox; more of them, and
modseqs, go to its index, so not with INDEX=MEMORY. mbox keeps the header fields
Status, X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase and Content-Length for
itself, and puts ">" before a line of a header that looks like the beginning of a
message; all other bytes of all messages are kept in every format.

"dovetail convert --dry-run" says what this means for the mail at hand.`},
	{"authentication", "Which user databases there are", `There are two kinds of databases: a passdb says whether somebody may log in, a
userdb where his mail is and who owns it. Some are both.

  driver          passdb  userdb  what it is
  passwd-file     yes     yes     a text file, read again when it changes
  static          yes     yes     the same for everybody; templates of the name
  prefetch        no      yes     what the passdb gave in fields userdb_…
  passwd          yes     yes     the users of the system, and of its name service
  shadow          yes     no      the passwords of the system; needs root
  pam             yes     no      PAM, by helper programs (dovetail-pam)
  ldap            yes     yes     a directory: by binding to it, or by its passwords
  sql             yes     yes     MySQL and MariaDB, PostgreSQL, SQLite
  vpopmail        yes     yes     vpasswd.cdb, vpasswd and the MySQL tables of vpopmail
  checkpassword   yes     yes     a program with qmail's interface
  oauth2          yes     no      tokens, checked here or by a server
  imap            yes     no      another IMAP server

A login asks the passdbs in their order until one accepts; result_success,
result_failure and result_internalfail say what else an answer means, deny = yes
refuses who is found, master = yes is for users who log in as others. Then the
userdbs say whose mail it is. Delivery asks the userdbs alone. A database that is
down is a temporary failure and never a wrong password. Those inside
"protocol X { }" are asked first, and by that protocol only.

  dovetail auth test -c CONF USER      tries a password (from the terminal)
  dovetail auth lookup -c CONF USER    asks the passdbs without one
  dovetail user -c CONF USER           asks the userdbs; '*' lists all names
  dovetail auth schemes -c CONF        counts the schemes of stored passwords
  dovetail config check -c CONF        tells of passdbs that let in whoever comes

The field upgrade_scheme stores a password anew when it was right at a login and is
kept in another scheme, or in the same one at a lower cost:

  default_fields = upgrade_scheme=BLF-CRYPT:10          (2.4: fields { … })
  … upgrade_scheme=SHA512-CRYPT   …=ARGON2ID:3:65536    rounds; passes and KiB

passwd-file writes its file, as its own user and beside it; sql needs update_query,
in which %w is the new password and %{passdb:password} the old one; ldap changes the
attribute as its dn. An old password that another program has replaced meanwhile is
not overwritten; in sql, if update_query asks for that (… AND password =
'%{passdb:password}'). With auth_bind, PAM and the like there is no hash to replace.
"dovetail auth schemes" counts what is stored.

Passwords are in no log and no message, unless auth_verbose_passwords asks for them
(auth_debug_passwords does nothing here); one on the command line is wiped out
there as soon as it has been read.

passdb vpopmail and userdb vpopmail take two words of our own among their args:
home=DIR, where vpopmail is, and assign=FILE, qmail's list of domains.`},
	{"exit-codes", "What the exit codes mean", `Every verb's help lists the codes it ends with. The meanings are the same
everywhere and do not change.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNoUser, exitNotFound, exitTryAgain, exitPermission, exitConfig)},
}
