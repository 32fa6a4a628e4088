package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"dovetail/formats"
	"dovetail/formats/index"
)

// mend is what Repair does about a finding.
type mend int

const (
	mendNone  mend = iota
	mendList       // rewrite the list from every record that can be understood
	mendSizes      // give the file the sizes that it has
	mendName       // give the file a name of its own
	mendMove       // finish an append
)

// finding is a problem with what is needed to mend it.
type finding struct {
	formats.Problem
	mend mend
	uid  formats.UID
	in   where
	file string
}

// staleTmp is the age at which Dovecot removes files from tmp/.
const staleTmp = 36 * time.Hour

// Check reads everything, every message included.
func (b *Mailbox) Check(ctx context.Context) iter.Seq2[formats.Problem, error] {
	return func(yield func(formats.Problem, error) bool) {
		for f, err := range b.findings(ctx) {
			if !yield(f.Problem, err) {
				return
			}
		}
	}
}

var errStop = errors.New("the caller has seen enough")

func (b *Mailbox) findings(ctx context.Context) iter.Seq2[finding, error] {
	return func(yield func(finding, error) bool) {
		found := func(f finding) error {
			f.Mailbox = b.name
			if !yield(f, nil) {
				return errStop
			}
			return nil
		}
		b.mu.Lock()
		v, err := b.scan(ctx)
		b.seen = v // what Body goes by: it must not look for itself, which may write
		b.mu.Unlock()
		for _, look := range []func(context.Context, *view, func(finding) error) error{b.checkList, b.checkNames, b.checkMessages, b.checkTmp, b.checkIndex} {
			if err == nil {
				err = look(ctx, v, found)
			}
		}
		if err != nil && err != errStop {
			yield(finding{}, err)
		}
	}
}

// checkList looks at dovecot-uidlist, and at Courier's lists where they are read.
func (b *Mailbox) checkList(_ context.Context, v *view, found func(finding) error) error {
	if v.found != nil {
		for _, p := range v.found.problems {
			if err := found(finding{Problem: p}); err != nil {
				return err
			}
		}
	}
	if b.store.opts.Lists.courier() {
		return nil
	}
	path := b.control.Path() + "/" + uidlistName
	if v.damage != nil {
		f := finding{mend: mendList, Problem: formats.Problem{Path: path, What: v.damage.Error(),
			Cost: "messages behind the damage get new UIDs: clients download them again",
			Mend: "write the list anew from every record that can be understood"}}
		if err := found(f); err != nil {
			return err
		}
	}
	text, err := b.control.ReadFile(uidlistName, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	seen := map[string]formats.UID{}
	for _, r := range salvage(text) {
		if other, twice := seen[string(r.Base)]; twice {
			f := finding{mend: mendList, Problem: formats.Problem{UID: r.UID, Path: path,
				What: fmt.Sprintf("the file of UID %d is listed twice", other), Cost: "Dovecot warns and keeps the later UID",
				Mend: "write the list anew with the later record"}}
			if err := found(f); err != nil {
				return err
			}
		}
		seen[string(r.Base)] = r.UID
	}
	return nil
}

// checkNames looks for files that are not what they should be.
func (b *Mailbox) checkNames(ctx context.Context, v *view, found func(finding) error) error {
	bases := newByBase(v)
	for i := range v.entries {
		e := &v.entries[i]
		f := finding{uid: e.uid, in: e.where, file: string(v.name(e)), Problem: formats.Problem{UID: e.uid, Path: b.path(v, e)}}
		_, twice := bases.get(baseName(v.name(e)))
		if !twice {
			bases.put(i)
		}
		switch {
		case e.bad:
			f.What, f.Cost = "not a regular file", "it is not a message and is left alone; remove it"
		case e.where == inTmp:
			f.mend, f.What, f.Cost, f.Mend = mendMove, "listed, but still in tmp", "Dovecot does not show it", "move it to its folder"
		case twice:
			f.mend, f.What, f.Cost, f.Mend = mendName, "another file has the same base name", "Dovecot renames one of them", "give it a name of its own"
		default:
			continue
		}
		if err := found(f); err != nil {
			return err
		}
	}
	for _, in := range []where{inCur, inNew} {
		if err := b.checkIgnored(in, found); err != nil {
			return err
		}
	}
	return nil
}

// checkIgnored looks for names that no reader takes for messages.
func (b *Mailbox) checkIgnored(in where, found func(finding) error) error {
	d := b.folderAt(in)
	if d == nil {
		return nil
	}
	return d.Each(func(name []byte, kind fs.FileMode) error {
		if kind != 0 || !bytes.ContainsAny(name, "\r\n") {
			return nil
		}
		return found(finding{mend: mendName, in: in, file: string(name), Problem: formats.Problem{Path: fmt.Sprintf("%s/%q", d.Path(), name),
			What: "line end in a file name", Cost: "no mail program shows the message", Mend: "give it a name of its own"}})
	})
}

// checkMessages reads every message and compares its sizes with its name.
func (b *Mailbox) checkMessages(ctx context.Context, v *view, found func(finding) error) error {
	for i := range v.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &v.entries[i]
		if e.bad {
			continue
		}
		f, ok, err := b.checkSizes(ctx, v, e)
		if errors.Is(err, formats.ErrNoMessage) {
			continue
		}
		if err != nil {
			f = finding{Problem: formats.Problem{UID: e.uid, Path: b.path(v, e), What: err.Error(), Cost: "the message cannot be read"}}
		}
		if err == nil && ok {
			continue
		}
		if f.mend == mendSizes && b.store.opts.Lists.courier() {
			f.mend, f.Mend, f.Cost = mendNone, "", "Courier counts the quota wrong" // a new name would be a new UIDL
		}
		if err := found(f); err != nil {
			return err
		}
	}
	return nil
}

func (b *Mailbox) checkSizes(ctx context.Context, v *view, e *entry) (f finding, ok bool, err error) {
	m := formats.Message{UID: e.uid}
	body, err := b.Body(ctx, &m)
	if err != nil {
		return f, false, err
	}
	defer body.Close()
	size, virtual, err := measure(body, nil)
	if err != nil {
		return f, false, err
	}
	name := v.name(e)
	for _, field := range []struct {
		key  byte
		want int64
		cost string
	}{
		{'S', size, "Dovecot cannot fetch the message, or logs an error each time"},
		{'W', virtual, "Dovecot cuts the message or drops the connection"},
	} {
		if !bytes.Contains(baseName(name), []byte{',', field.key, '='}) {
			continue
		}
		if got, valid := sizeField(name, field.key); !valid || got != field.want {
			return finding{mend: mendSizes, uid: e.uid, in: e.where, file: string(name), Problem: formats.Problem{UID: e.uid, Path: b.path(v, e),
				What: fmt.Sprintf("%c= in the file name is not %d", field.key, field.want), Cost: field.cost,
				Mend: "rename the file to its sizes; its UID and GUID stay"}}, false, nil
		}
	}
	return f, true, nil
}

// checkTmp looks for what deliveries left behind.
func (b *Mailbox) checkTmp(_ context.Context, v *view, found func(finding) error) error {
	if b.tmp == nil {
		return nil
	}
	return b.tmp.Each(func(name []byte, kind fs.FileMode) error {
		st, err := b.tmp.Stat(string(name))
		if err != nil || kind != 0 || time.Since(time.Unix(st.CTime.Sec, 0)) < staleTmp {
			return nil
		}
		return found(finding{Problem: formats.Problem{Path: b.tmp.Path() + "/" + string(name), What: "left behind by a delivery that was not finished",
			Cost: "it takes room until Dovecot removes it"}})
	})
}

// checkIndex passes on what is wrong with the index, if there is one.
func (b *Mailbox) checkIndex(_ context.Context, _ *view, found func(finding) error) error {
	if b.indexDir == nil {
		return nil
	}
	problems, err := index.Check(b.indexDir, index.Prefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, p := range problems {
		if err := found(finding{Problem: p}); err != nil {
			return err
		}
	}
	return err
}
