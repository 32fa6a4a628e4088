package imapwire

// Select is SELECT and EXAMINE.
type Select struct {
	Mailbox   string
	CondStore bool
	QResync   *QResync
}

// QResync is what the client remembers of a mailbox (RFC 7162 section 3.2.5).
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	Known       Set // UIDs; empty: all
	Seqs, UIDs  Set // sequence numbers and their UIDs, for what was expunged long ago; empty: none
}

func (d *Decoder) selecting() any {
	s := &Select{Mailbox: d.mailboxName()}
	if !d.more() {
		return s
	}
	d.list("SELECT parameter", func() {
		switch d.one("SELECT parameter", "CONDSTORE", "QRESYNC") {
		case "CONDSTORE":
			s.CondStore = true
		case "QRESYNC":
			d.space("QRESYNC parameters")
			s.QResync = d.qresync()
		}
	})
	return s
}

func (d *Decoder) qresync() *QResync {
	q := &QResync{}
	if !d.accept('(') {
		d.missing("QRESYNC parameters")
		return nil
	}
	q.UIDValidity = d.number("UIDVALIDITY")
	d.space("modification sequence")
	q.ModSeq = d.number64("modification sequence")
	if d.err == nil && (q.UIDValidity == 0 || q.ModSeq == 0) {
		d.fail("Invalid QRESYNC parameters")
	}
	if d.more() && d.peek() != '(' && d.peek() != ')' {
		q.Known = d.set(uidSet)
		d.more()
	}
	if d.accept('(') {
		q.Seqs = d.set("sequence set")
		d.space("UID set")
		q.UIDs = d.set(uidSet)
		if !d.accept(')') {
			d.missing("')'")
		}
	}
	if !d.accept(')') {
		d.missing("')'")
	}
	for _, s := range []Set{q.Known, q.Seqs, q.UIDs} {
		for _, r := range s.Ranges {
			if s.Saved || r.First == Star || r.Last == Star {
				d.fail("Invalid QRESYNC parameters")
			}
		}
	}
	return q
}
