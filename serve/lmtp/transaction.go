package lmtp

import (
	"errors"
	"io"
	"time"

	"dovetail/formats/disk"
	"dovetail/serve/smtp"
)

// transaction is one message on its way.
type transaction struct {
	began      time.Time
	id         string
	from       smtp.Path
	recipients []*recipient
	given      int        // recipients so far, refused ones among them
	text       disk.Spool // what came
	chunked    bool       // a part of it is there
	failed     error      // of a part: the rest is passed over
}

func (t *transaction) close() {
	t.text.Close()
	for _, r := range t.recipients {
		r.close()
	}
}

// errClient says that the client, not the disk, is why a message is not whole.
type errClient struct{ error }

// take puts bytes of the message into the spool. An error of the disk lets the client say the rest, which is passed over.
func (t *transaction) take(src io.Reader) error {
	if t.failed == nil {
		_, t.failed = io.Copy(&t.text, fromClient{src})
	}
	client, isClient := errors.AsType[errClient](t.failed)
	if isClient {
		return client.error
	}
	if t.failed != nil {
		_, err := io.Copy(io.Discard, src)
		return err
	}
	return nil
}

// fromClient marks errors of reading.
type fromClient struct{ io.Reader }

func (f fromClient) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = errClient{err}
	}
	return n, err
}
