package sync

import (
	"dovetail/formats"
)

// plan is what has to be done to one mailbox of the target. The steps are done in the order of the fields.
type plan struct {
	// appends are messages to copy, in one or two parts: UIDs ascend on both sides in each, and in the target from one
	// part to the next. The second part are messages whose own UID is not possible any more.
	appends [][]pair

	flags   map[flagStep]*formats.Ranges // what messages of the target should look like
	expunge formats.Ranges               // in the target

	uidNext     formats.UID // 0: leave alone, as the next two
	highest     formats.ModSeq
	firstRecent formats.UID

	renumbered formats.Ranges // UIDs of the source that get another one
	own        formats.Ranges // messages of the target that are not ours
	unchanged  int
	kept       []pair // messages on both sides
	gone       []pair // our messages in the target that the source no longer has
}

// flagStep is one flag change, for many messages.
type flagStep struct {
	look   uint32 // flags and keyword set
	modseq uint64 // 0: the target's next one
}

func (p *plan) empty() bool {
	return len(p.appends) == 0 && len(p.flags) == 0 && len(p.expunge) == 0 &&
		p.uidNext == 0 && p.highest == 0 && p.firstRecent == 0
}

// compare is the diff of one mailbox: both sides now, and the pairs that are their last common state. One-way: what the
// source has wins, and what the target has beyond the pairs is not touched.
type compare struct {
	src, dst *state
	pairs    []pair // sorted by source UID
	hold     *holding
	limits   formats.Limits

	removeOwn bool
	fresh     bool // the target's mailbox was made by this run or holds nothing
}

func (c *compare) plan() *plan {
	p := &plan{flags: map[flagStep]*formats.Ranges{}}
	if len(c.pairs) != len(c.dst.recs) {
		matched := make([]bool, len(c.dst.recs))
		for _, pr := range c.pairs {
			if at, ok := c.dst.find(pr.dst); ok {
				matched[at] = true
			}
		}
		for i, r := range c.dst.recs {
			if !matched[i] {
				p.own.Add(formats.UID(r.uid))
			}
		}
	}
	if c.removeOwn {
		p.expunge, p.own = p.own, nil
	}
	missing := c.comparePairs(p)
	c.assign(p, missing)
	c.raise(p)
	return p
}

// comparePairs walks both lists by source UID, plans flag changes and expunges, and gives the messages still to copy.
func (c *compare) comparePairs(p *plan) []uint32 {
	var missing []uint32
	i := 0
	for ; i < len(c.pairs) && c.pairs[i].src == 0; i++ {
		p.expunge.Add(formats.UID(c.pairs[i].dst))
		p.gone = append(p.gone, c.pairs[i])
	}
	for _, r := range c.src.recs {
		if i == len(c.pairs) || c.pairs[i].src != r.uid {
			missing = append(missing, r.uid)
			continue
		}
		c.flags(p, r, c.pairs[i])
		p.kept = append(p.kept, c.pairs[i])
		i++
	}
	return missing
}

func (c *compare) flags(p *plan, r record, pr pair) {
	at, _ := c.dst.find(pr.dst)
	d := c.dst.recs[at]
	if c.src.bad[formats.UID(r.uid)] != nil {
		p.unchanged++
		return
	}
	newer := !c.limits.NoModSeq && formats.ModSeq(r.modseq) > c.dst.status.HighestModSeq
	look := c.hold.look(r)
	changed := newer && r.modseq > d.modseq && c.src.status.KeepsModSeqs
	if look == d.look && !changed {
		p.unchanged++
		return
	}
	step := flagStep{look: look}
	if newer {
		step.modseq = r.modseq
	}
	if p.flags[step] == nil {
		p.flags[step] = &formats.Ranges{}
	}
	p.flags[step].Add(formats.UID(pr.dst))
}

// assign gives UIDs to the messages still to copy. A message keeps its UID when the target has not gone past it. The
// others come last, above everything the source has, so that they do not take the UIDs of later ones.
func (c *compare) assign(p *plan, missing []uint32) {
	next := max(1, uint32(c.dst.status.UIDNext))
	var first, second []pair
	var late []uint32
	for _, uid := range missing {
		switch {
		case c.src.status.Volatile:
			first = append(first, pair{uid, next})
			next++
		case uid >= next:
			first = append(first, pair{uid, uid})
			next = uid + 1
		default:
			late = append(late, uid)
		}
	}
	if len(late) > 0 {
		next = max(next, uint32(c.src.status.UIDNext))
	}
	for _, uid := range late {
		second = append(second, pair{uid, next})
		p.renumbered.Add(formats.UID(uid))
		next++
	}
	for _, part := range [][]pair{first, second} {
		if len(part) > 0 {
			p.appends = append(p.appends, part)
		}
	}
}

// raise carries the counters that the messages alone do not bring along.
func (c *compare) raise(p *plan) {
	after := max(1, uint32(c.dst.status.UIDNext))
	for _, part := range p.appends {
		after = part[len(part)-1].dst + 1
	}
	if want := c.src.status.UIDNext; !c.src.status.Volatile && uint32(want) > after {
		p.uidNext = want
	}
	if want := c.src.status.HighestModSeq; !c.limits.NoModSeq && want > c.dst.status.HighestModSeq {
		p.highest = want
	}
	recent := c.src.status.FirstRecent
	if !c.limits.NoRecent && !c.src.status.Volatile && recent != 0 && len(p.renumbered) == 0 &&
		(recent > c.dst.status.FirstRecent || c.fresh && recent != c.dst.status.FirstRecent) {
		p.firstRecent = recent
	}
}
