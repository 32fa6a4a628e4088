// Package mbox reads and writes mailboxes that are files of messages one after the other.
//
//	From ann@example.org  Thu Nov  9 22:33:52 2001 +0000 LF   From_ line: sender and date of delivery
//	Subject: …                                                header of the message
//	X-IMAPbase: 1234567890 0000000017 $Forwarded work LF      first message only: UIDVALIDITY, last UID, keywords
//	X-UID: 3 LF
//	Status: RO LF                                             R \Seen, O not \Recent
//	X-Status: AFTD LF                                         \Answered \Flagged \Draft \Deleted; left out when empty
//	X-Keywords: work               LF                         and spaces, so that flags can be changed in place
//	Content-Length: 420 LF                                    of the body
//	LF
//	body                                                      as it is: nothing is quoted, no line end is changed
//	LF                                                        separates; CR LF when the body ends in a bare CR
//
// This is Dovecot's dialect, and what we write. The fields from X-IMAPbase on are hidden from clients, and dropped from
// messages that come with them (Limits.HiddenHeaders). A message without body has no empty line and no Content-Length;
// the line end of its last field separates. Nothing is added to a message that does not end with a line end.
//
// A From_ line is "From ", a sender and a date, at the start of a line; which dates count is decided as Dovecot does
// (parseFromLine). A message ends where its Content-Length says, if there is a From_ line or the end of the file; else
// before the next From_ line. Files in other dialects are a matter of Options.Dialect, for reading only.
//
// # UIDs
//
// X-UID counts when the file has X-IMAPbase, and the number is above that of the message before and not above the last
// UID + 1. Other messages get the next UIDs, as Dovecot would give them. Without X-IMAPbase all do, and the mailbox is
// Volatile, unless an index of Dovecot's knows better. A mailbox without messages that has numbers to keep holds one
// internal message with X-IMAP in place of X-IMAPbase, which no client sees.
//
// Flags and keywords that Dovecot has so far changed only in its index are read from there (package index). The GUID of
// a message is an MD5 sum over fields of its header: the one that Dovecot shows.
//
// # Locks
//
// Reading takes a shared fcntl lock for as long as a file is looked at, not between messages. Writing takes the exclusive
// one and then tries FILE.lock; if that is taken, the first lock is given back for a moment. So Dovecot may use either
// order. Where the folder may not be written, as /var/mail by users, there is no FILE.lock.
//
// # Writing, and what a crash leaves
//
// Messages are first written to a spool beside the mailbox, without its lock. Then, in the cheapest way that fits:
//
//   - An empty mailbox is filled with the spool.
//   - Messages are added to the end. Before that a note says where the end was (type intent); X-IMAPbase changes first,
//     because UIDs above its last UID are void. If the process dies, the next writer takes everything back that is
//     exactly the beginning of the spool, and readers ignore it. Mail that others delivered meanwhile stays.
//   - The flags of one message change in place, in one write, if they fit into its spaces.
//   - Everything else writes all of it anew, first into a spool and then, with a note beside it, over the file (overwrite.go
//     says why it is not renamed). If the process dies, readers read the spool, and the next writer goes on.
//
// Then, with the file still locked, Dovecot's index gets all that is new in the file, and how the file looks (markRead). If the
// process dies before that, Dovecot sees that the file has changed and reads it.
//
// Names of ours begin with ".dovetail-" and end in ".lock": such names Dovecot does not take for mailboxes. It also passes
// over .imap, where its indexes are, and .subscriptions.
//
// Judged by Dovecot 2.3.19.1. Other programs that write these files: every MTA and mail reader; they keep X-UID and drop
// or keep Content-Length.
package mbox
