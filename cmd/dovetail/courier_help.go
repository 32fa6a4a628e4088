package main

// courierHelp is the manual of the verb courier. The table of files is checked against what the converter reads and writes.
var courierHelp = `Make Dovecot's control files in Maildirs say what Courier-IMAP's say, so that no
mail client notices that the server is another one; or, with --to-courier, the other
way round. Messages stay where they are. Without --convert it only looks: the list
that it prints is the list of what --convert does. The files of the side that is read
are never changed, so that they are the way back.

PATH (default ".") is a Maildir or a home with one; with --recursive all Maildirs at
and below it, at any depth. Below a vpopmail's folder "domains" the users are those of
qmail's /var/qmail/users/assign (or --assign FILE) and each domain's vpasswd, also
where they lie elsewhere; the folders are searched besides, and users without mail
directory and mail directories without user are listed. Links are followed only if
root made them, or whoever runs this; others are listed. As root every file belongs
to the owner of its Maildir.

Run it as often as you like: a run takes over what has changed since the last one, and
a second one finds nothing to do. Files of the target that say something else and were
not written by dovetail are skipped unless --overwrite allows to replace them (a copy
dovetail-old-NAME stays) or, where they are newer, --overwrite-newer. The direction is
never guessed.

It also answers to courier-dovecot-migrate.pl: make a link of that name.

With --json each line is an object, and fields are only ever added. "kind" tells them
apart:
  user    "user", "maildir", "found_by"; "outcome": converted, partly converted,
          already converted, nothing to convert or skipped, with "reason" and "next";
          "steps" in their order, "folders", "losses", "problems", "notes", "totals"
  found   what is no user: "found" says what, "name", "path", "why"
  totals  "outcomes" of users, "mailboxes", "totals", "losses", "problems", "left_over"
--report writes one object with the members of totals, and the users in "users".

What becomes of each file
  Courier                              Dovecot
  courierimapuiddb                     dovecot-uidlist: UIDVALIDITY, UIDs, next UID,
                                       also of empty folders
  courierpop3dsizelist, versions 0-3   dovecot-uidlist of INBOX, fields P and O: POP3
                                       UIDLs and order; its sizes are not used. Back:
                                       also UIDLs that Dovecot made, as UID%u-%v
  courierimapkeywords/ :list and the   dovecot-keywords and letters in file names; from
  updates beside it                    the 27th keyword on dovecot.index
  courierimapsubscribed                subscriptions, without the prefix INBOX.
  courierimapacl                       dovecot-acl
  courierimaphieracl/                  none: it is for folders that do not exist; listed
  maildirsize                          the same file, counted anew where it is wrong
  maildirfolder                        the same file, made where it is missing
  folder names, Courier 4              modified UTF-7 as in Dovecot; names that are not
                                       valid are renamed, as .Q&A to .Q&-A
  folder names, Courier 5 (UTF-8)      renamed to modified UTF-7
  letters in file names without a      removed: Dovecot would show unknown keywords
  meaning
  maildirfilter, .mailfilter,          none: listed
  shared-maildirs, shared-folders/
  dovecot.index*, dovecot-uidvalidity* removed where they are left from a trial: they
                                       would hide the new lists

Settings of Dovecot 2.3 that make it invisible
  namespace inbox {
    type = private
    separator = .
    prefix = INBOX.
    inbox = yes
  }
  mail_location = maildir:~/Maildir
  pop3_uidl_format = UID%u-%v          for new messages; the old ones keep theirs
  auth_username_chars =                if names of users hold "+", "%" or the like

Courier deletes old messages from Trash by the time a file was changed last, which a
copy or a rename sets anew (IMAP_EMPTYTRASH=Trash:7). In Dovecot it is autoexpunge:
  namespace inbox {
    mailbox Trash {
      special_use = \Trash
      autoexpunge = 7d
    }
  }

The cut-over, with Courier under daemontools
  1. dovetail courier --recursive PATH
     and mend what it lists, or accept it
  2. dovetail courier --recursive --convert --ignore-running PATH
     beside the running Courier: it takes most of the time
     folders that must be renamed wait for step 5 (exit code 2)
  3. touch /service/courier-imapd/down /service/courier-pop3d/down
     svc -d /service/courier-imapd /service/courier-pop3d
  4. svstat /service/courier-imapd /service/courier-pop3d
     until both say "down", and their logs have come to an end; mail may go on arriving
  5. dovetail courier --recursive --convert --wait-idle 2s PATH
     takes over what has changed since; it refuses while Courier runs, and waits until
     the last sessions have ended
  6. ln -s /etc/dovecot/service /service/dovecot
     svstat /service/dovecot
     twice: the same process, and its seconds rise

The way back
  1. svc -d /service/dovecot, with a file "down" in it
  2. dovetail courier --recursive --to-courier --convert PATH
     for new mail, flags and folders since. Messages that came in Dovecot keep their
     POP3 UIDLs; if its pop3_uidl_format was not UID%u-%v, say so: --pop3-uidl-format
     FORMAT. Courier can hold UID%u-%v, UID%u and %f; of any other, as Dovecot's own
     %08Xu%08Xv, the number of messages that clients will download again is listed
  3. rm /service/courier-*/down; svc -u /service/courier-*
` + settingsHelp + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission)
