package index

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"dovetail/formats"
)

// pageRecords is how many records states share or not together: a change of one message copies so many.
const pageRecords = 1024

// pages are the records of a state, as they are in the file, in runs of pageRecords; the last run may be shorter. They
// are shared with the states that came before until they are changed.
type pages struct {
	size int // of a record
	n    int // records
	list []page
}

type page struct {
	records []byte
	mine    bool   // no other state has it
	unseen  uint16 // how many have no \Seen, as of the last count
	bare    uint16 // how many have no modseq of their own; 0 where none has
}

// pagesOf divides n records that are nobody else's.
func pagesOf(records []byte, size int) pages {
	p := pages{size: size, n: len(records) / size}
	p.list = make([]page, 0, (p.n+pageRecords-1)/pageRecords)
	for at := 0; at < len(records); at += pageRecords * size {
		end := min(at+pageRecords*size, len(records))
		p.list = append(p.list, page{records: records[at:end:end], mine: true})
	}
	return p
}

// share gives the same records to another state.
func (p *pages) share() pages {
	c := *p
	c.list = slices.Clone(p.list)
	for i := range c.list {
		c.list[i].mine = false
	}
	return c
}

// bytes is the length of all records.
func (p *pages) bytes() int64 { return int64(p.n) * int64(p.size) }

// run gives n records from place i on, which must lie in one page; they must not be changed.
func (p *pages) run(i, n int) []byte {
	at := i % pageRecords * p.size
	return p.list[i/pageRecords].records[at : at+n*p.size]
}

// at gives the record at place i, which must not be changed.
func (p *pages) at(i int) []byte {
	at := i % pageRecords * p.size
	return p.list[i/pageRecords].records[at : at+p.size : at+p.size]
}

// change gives the record at place i to be changed.
func (p *pages) change(i int) []byte {
	page := &p.list[i/pageRecords]
	if !page.mine {
		page.records, page.mine = slices.Clone(page.records), true
	}
	at := i % pageRecords * p.size
	return page.records[at : at+p.size : at+p.size]
}

// add gives a new record of zeros behind all others.
func (p *pages) add() []byte {
	if p.n%pageRecords == 0 {
		p.list = append(p.list, page{mine: true})
	}
	page := &p.list[len(p.list)-1]
	had := len(page.records)
	if !page.mine || cap(page.records)-had < p.size {
		more := make([]byte, had, min(pageRecords*p.size, max(2*had, 32*p.size)))
		copy(more, page.records)
		page.records, page.mine = more, true
	}
	page.records = page.records[:had+p.size] // zeros: a page never gets shorter
	p.n++
	return page.records[had:]
}

// remove takes out the records at the places for which dead is set.
func (p *pages) remove(dead []bool) {
	first := slices.Index(dead, true)
	if first < 0 {
		return
	}
	was := *p
	p.list = slices.Clone(was.list[:first/pageRecords])
	p.n = len(p.list) * pageRecords
	for i := p.n; i < was.n; i++ {
		if !dead[i] {
			copy(p.add(), was.at(i))
		}
	}
}

// find gives the place of a UID, or that of the next higher one and false.
func (p *pages) find(uid uint32) (int, bool) {
	le := binary.LittleEndian
	lo, hi := 0, len(p.list) // the first page that begins above uid
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); le.Uint32(p.list[m].records) <= uid {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return 0, false
	}
	records, first := p.list[lo-1].records, (lo-1)*pageRecords
	lo, hi = 0, min(pageRecords, p.n-first)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); le.Uint32(records[m*p.size:]) < uid {
			lo = m + 1
		} else {
			hi = m
		}
	}
	i := first + lo
	return i, lo*p.size < len(records) && le.Uint32(records[lo*p.size:]) == uid
}

// runs calls fn with pieces of the n records from place i on, each as long as can be.
func (p *pages) runs(i, n int, fn func(records []byte)) {
	for n > 0 {
		k := min(n, pageRecords-i%pageRecords)
		fn(p.run(i, k))
		i, n = i+k, n-k
	}
}

// same tells whether n records from place i on are equal to those from place j on of others.
func (p *pages) same(i int, other *pages, j, n int) bool {
	for n > 0 {
		k := min(n, pageRecords-i%pageRecords, pageRecords-j%pageRecords)
		a, b := p.run(i, k), other.run(j, k)
		if &a[0] != &b[0] && !bytes.Equal(a, b) {
			return false
		}
		i, j, n = i+k, j+k, n-k
	}
	return true
}

// count makes the numbers of each page that was changed those of its records; modseq is the place of modseqs in a
// record, -1 where there are none.
func (p *pages) count(modseq int) {
	for i := range p.list {
		page := &p.list[i]
		if !page.mine {
			continue
		}
		page.unseen, page.bare = 0, 0
		for at := 4; at < len(page.records); at += p.size {
			if formats.Flags(page.records[at])&formats.Seen == 0 {
				page.unseen++
			}
		}
		for at := modseq; at >= 0 && at < len(page.records); at += p.size {
			if binary.LittleEndian.Uint64(page.records[at:]) == 0 {
				page.bare++
			}
		}
	}
}

// anyBare tells whether some record has no modseq of its own.
func (p *pages) anyBare() bool {
	return slices.ContainsFunc(p.list, func(page page) bool { return page.bare > 0 })
}

// unseen is how many messages have no \Seen.
func (p *pages) unseen() (n int) {
	for i := range p.list {
		n += int(p.list[i].unseen)
	}
	return n
}

// WriteTo writes all records.
func (p *pages) WriteTo(w io.Writer) (written int64, err error) {
	for i := range p.list {
		n, err := w.Write(p.list[i].records)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
