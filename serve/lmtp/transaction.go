package lmtp

import (
	"context"
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
	after      []func(context.Context) // what is to be done when the client has its replies
}

func (t *transaction) close() {
	t.text.Close()
	for _, r := range t.recipients {
		r.close()
	}
}
