package lmtp

import (
	"time"

	"dovetail/serve/smtp"
)

// transaction is one message on its way.
type transaction struct {
	began      time.Time
	id         string
	from       smtp.Path
	recipients []*recipient
	given      int // recipients so far, refused ones among them
	text       smtp.Text
}

func (t *transaction) close() {
	t.text.Close()
	for _, r := range t.recipients {
		r.close()
	}
}
