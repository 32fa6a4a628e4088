package index

import (
	"encoding/binary"
	"math"
	"strings"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// replayer applies log records to a state. It does what Dovecot's mail-index-sync-update.c, mail-index-sync-ext.c,
// mail-index-sync-keywords.c and mail-index-modseq.c do, but stops where Dovecot would note damage and go on.
type replayer struct {
	s     *State
	minor uint8 // of the log that is read

	// The extension that the last ExtIntro named, -1 for none; void when its reset id is not the current one.
	ext     int
	void    bool
	extSize int

	kw    map[string]int // bit number by name in lower case, made at the first use
	dead  []bool         // expunged by this replay, swept at its end: an expunge must not move all records each time
	limit int64          // of the memory for records
	hint  int            // where the last message was found
}

// newState is an empty mailbox.
func newState() *State {
	return &State{Header: Header{NextUID: 1, FirstRecent: 1, Log2Rotated: NoLog2}, records: pages{size: 8}}
}

// newReplayer prepares the application of logs that are bytes long in total. Sizes in them are lies until they are
// paid for: the records may grow to 64 times what was read.
func newReplayer(s *State, bytes int64) *replayer {
	return &replayer{s: s, ext: -1, limit: 64<<20 + 64*(bytes+s.records.bytes())}
}

func (p *replayer) apply(r translog.Record) error {
	p.s.modseq = r.Count(p.s.modseq, p.minor)
	switch r.Type {
	case translog.Append:
		return p.append(r)
	case translog.FlagUpdate:
		p.flags(r)
	case translog.Expunge, translog.ExpungeGUID:
		p.expunge(r)
	case translog.HeaderUpdate:
		return p.header(r)
	case translog.ExtIntro, translog.ExtReset, translog.ExtHdrUpdate, translog.ExtHdrUpdate32, translog.ExtRecUpdate,
		translog.ExtAtomicInc:
		return p.extension(r)
	case translog.KeywordUpdate:
		return p.keyword(r)
	case translog.KeywordReset:
		p.clearKeywords(r)
	case translog.ModSeqUpdate:
		return p.modseqs(r)
	case translog.IndexDeleted:
		if r.External {
			p.s.Deleted = true
		}
	case translog.IndexUndeleted:
		if r.External {
			p.s.Deleted = false
		}
	}
	return nil
}

// done notes that the log is applied up to offset and removes expunged records.
func (p *replayer) done(seq, offset uint32) {
	p.s.LogSeq, p.s.Head = seq, offset
	if p.dead != nil {
		p.s.records.remove(p.dead)
		p.dead, p.hint = nil, 0
	}
	p.s.records.count(p.s.modseqOffset())
}

// track moves the tail: past everything External that follows it, or to where a header update puts it. What is not
// External is a request, and only the program that fulfils it moves the tail on (mail-transaction-log-file.c).
func (p *replayer) track(r translog.Record) {
	if r.External && p.s.Tail == uint32(r.Offset) {
		p.s.Tail = uint32(r.Next())
	}
	if !r.External || r.Type != translog.HeaderUpdate {
		return
	}
	for offset, data := range r.Patches() {
		if offset <= offTail && int(offset)+len(data) >= offTail+4 {
			tail := binary.LittleEndian.Uint32(data[offTail-offset:])
			if int64(tail) <= r.Next() {
				p.s.Tail = max(p.s.Tail, tail)
			}
		}
	}
}

// span gives the places of the messages with UIDs from first to last.
func (p *replayer) span(first, last uint32) (int, int) {
	i := p.find(first)
	if first == last {
		if i < p.s.Len() && p.s.UID(i) == formats.UID(first) {
			return i, i + 1
		}
		return i, i
	}
	if last == math.MaxUint32 {
		return i, p.s.Len()
	}
	j, _ := p.s.Find(formats.UID(last + 1))
	return i, max(i, j)
}

// find gives the place of uid or of the next higher one. Records of a log mostly come in the order of messages, so the
// place behind the last one found is tried first.
func (p *replayer) find(uid uint32) int {
	n := p.s.Len()
	for i := p.hint; i <= min(p.hint+1, n-1); i++ {
		if p.s.UID(i) == formats.UID(uid) {
			p.hint = i
			return i
		}
	}
	i, _ := p.s.Find(formats.UID(uid))
	p.hint = i
	return i
}

func (p *replayer) append(r translog.Record) error {
	s := p.s
	n := int64(len(r.Payload)/8) * int64(s.records.size)
	if s.records.bytes()+n > p.limit {
		return formats.Corrupt("%d messages of %d bytes", s.Len(), s.records.size)
	}
	modseq := s.modseqOffset()
	for uid, flags := range r.Appends() {
		if uid < uint32(s.NextUID) || uid == math.MaxUint32 {
			return formats.Corrupt("append of UID %d, but the next UID is %d", uid, s.NextUID)
		}
		record := s.records.add()
		binary.LittleEndian.PutUint32(record, uid)
		record[4] = flags
		if modseq >= 0 {
			binary.LittleEndian.PutUint64(record[modseq:], s.modseq)
		}
		s.NextUID = formats.UID(uid + 1)
		if formats.Flags(flags)&Dirty != 0 {
			s.Header.Flags |= 2
		}
		if p.dead != nil {
			p.dead = append(p.dead, false)
		}
	}
	return nil
}

func (p *replayer) flags(r translog.Record) {
	for f := range r.FlagUpdates() {
		i, j := p.span(f.First, f.Last)
		if f.Visible() {
			p.touch(i, j)
		}
		if formats.Flags(f.Add)&Dirty != 0 {
			p.s.Header.Flags |= 2
		}
		for ; i < j; i++ {
			if b := p.s.records.at(i)[4]; b&^f.Remove|f.Add != b {
				p.s.records.change(i)[4] = b&^f.Remove | f.Add
			}
		}
	}
}

func (p *replayer) expunge(r translog.Record) {
	if !r.External {
		return
	}
	if p.dead == nil {
		p.dead = make([]bool, p.s.Len())
	}
	if r.Type == translog.ExpungeGUID {
		for uid := range r.GUIDs() {
			i, j := p.span(uid, uid)
			p.kill(i, j)
		}
		return
	}
	for first, last := range r.Ranges() {
		i, j := p.span(first, last)
		p.kill(i, j)
	}
}

func (p *replayer) kill(i, j int) {
	for ; i < j; i++ {
		p.dead[i] = true
	}
}

// header applies changes of the base header. The counters in it are derived, the place in the log is ours, and the next
// UID never shrinks (mail-index-sync-update.c sync_header_update).
func (p *replayer) header(r translog.Record) error {
	h := header{Header: p.s.Header, extra: p.s.extra}
	base := h.appendTo(nil)
	for offset, data := range r.Patches() {
		if int(offset)+len(data) > len(base) {
			return formats.Corrupt("header update of %d bytes at %d outside the header", len(data), offset)
		}
		copy(base[offset:], data)
	}
	had := p.s.NextUID
	p.s.patch(base)
	p.s.NextUID = max(p.s.NextUID, had)
	p.s.extra = base[baseSize:]
	return nil
}

// touch gives messages the counter's value as modseq.
func (p *replayer) touch(i, j int) {
	at := p.s.modseqOffset()
	if at < 0 {
		return
	}
	for ; i < j; i++ {
		if binary.LittleEndian.Uint64(p.s.records.at(i)[at:]) < p.s.modseq {
			binary.LittleEndian.PutUint64(p.s.records.change(i)[at:], p.s.modseq)
		}
	}
}

// modseqs raises modseqs of messages; a lower one than a message has is ignored.
func (p *replayer) modseqs(r translog.Record) error {
	at := p.s.modseqOffset()
	for uid, m := range r.ModSeqs() {
		if uid == 0 {
			continue
		}
		i, j := p.span(uid, uid)
		if i == j {
			continue
		}
		if at < 0 {
			return formats.Corrupt("modseq of UID %d before modseqs were enabled", uid)
		}
		b := p.s.records.change(i)[at:]
		binary.LittleEndian.PutUint64(b, max(m, binary.LittleEndian.Uint64(b)))
	}
	return nil
}

func (p *replayer) keyword(r translog.Record) error {
	name, remove := r.Keyword()
	if i := strings.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	bit, err := p.keywordBit(name)
	if err != nil {
		return err
	}
	e := p.s.Ext("keywords")
	if bit/8 >= int(e.Size) {
		if remove {
			return nil
		}
		if err := p.resize(e, keywordBytes(len(p.s.Keywords)), 1); err != nil {
			return err
		}
	}
	at, mask := int(e.offset)+bit/8, byte(1)<<(bit%8)
	for first, last := range r.Ranges() {
		i, j := p.span(first, last)
		p.touch(i, j)
		for ; i < j; i++ {
			b := &p.s.records.change(i)[at]
			if remove {
				*b &^= mask
			} else {
				*b |= mask
			}
		}
	}
	return nil
}

// keywordBit finds a keyword's bit number, giving it one when it is new.
func (p *replayer) keywordBit(name string) (int, error) {
	s := p.s
	if p.kw == nil {
		p.kw = map[string]int{}
		for i := len(s.Keywords) - 1; i >= 0; i-- {
			p.kw[asciiLower(s.Keywords[i])] = i
		}
	}
	if bit, ok := p.kw[asciiLower(name)]; ok && s.Ext("keywords") != nil {
		return bit, nil
	}
	if name == "" {
		return 0, formats.Corrupt("keyword with an empty name")
	}
	s.Keywords = append(s.Keywords, name)
	size, bytes := keywordsSize(s.Keywords), keywordBytes(len(s.Keywords))
	if size+keywordsRoom > maxHeader {
		return 0, formats.Corrupt("%d keywords", len(s.Keywords))
	}
	p.kw[asciiLower(name)] = len(s.Keywords) - 1
	e := s.Ext("keywords")
	if e == nil {
		return len(s.Keywords) - 1, p.introduce(Extension{Name: "keywords", Header: make([]byte, size+keywordsRoom),
			Size: uint16(bytes), Align: 1})
	}
	if size > len(e.Header) {
		e.Header = make([]byte, size+keywordsRoom)
	}
	if len(s.Keywords) > 8*int(e.Size) {
		return len(s.Keywords) - 1, p.resize(e, bytes, 1)
	}
	return len(s.Keywords) - 1, nil
}

// asciiLower folds case as Dovecot compares keywords.
func asciiLower(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

func (p *replayer) clearKeywords(r translog.Record) {
	e := p.s.Ext("keywords")
	if e == nil {
		return
	}
	for first, last := range r.Ranges() {
		i, j := p.span(first, last)
		p.touch(i, j)
		for ; i < j; i++ {
			clear(e.of(p.s.records.change(i)))
		}
	}
}
