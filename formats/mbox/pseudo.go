package mbox

import (
	"fmt"
	"os"
	"time"
)

// internalSender is what Dovecot and c-client write in the From_ line of the internal message.
const internalSender = "MAILER_DAEMON"

// internalMessage is the whole content of a mailbox without messages that has numbers to keep: a message that no client
// sees, with X-IMAP in place of X-IMAPbase.
func internalMessage(b base, now time.Time) []byte {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	out := appendFromLine(nil, internalSender, now)
	out = fmt.Appendf(out, "Date: %s\n", now.UTC().Format(time.RFC1123Z))
	out = fmt.Appendf(out, "From: Mail System Internal Data <MAILER-DAEMON@%s>\n", host)
	out = append(out, "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"...)
	out = fmt.Appendf(out, "Message-ID: <%d@%s>\nX-IMAP: ", now.Unix(), host)
	out = appendBase(out, b)
	out = appendSpaces(out, padding)
	out = append(out, "\nStatus: RO\n\n"...)
	out = append(out, "This message holds the numbers of a mail folder without messages. Programs\n"...)
	out = append(out, "that read the folder hide it. If it is deleted the folder gets new numbers,\n"...)
	out = append(out, "and mail programs will download what it holds once more.\n\n"...)
	return out
}

// create makes the file of an empty mailbox.
func (b *Mailbox) create(first base) error {
	s, err := b.newSpool()
	if err != nil {
		return err
	}
	_, err = s.Write(internalMessage(first, time.Now()))
	if err == nil {
		err = s.sync()
	}
	if err == nil {
		err = b.dir.RenameNew(s.name, b.dir, b.file)
	}
	if err == nil {
		err = b.dir.Sync()
	}
	return exists(err, s.discard())
}
