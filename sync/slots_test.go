package sync_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
	"dovetail/sync"
)

// counted is a store that counts how many of its mailboxes are open.
type counted struct {
	formats.Store
	now, most *atomic.Int64
}

func (s counted) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	m, err := s.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	n := s.now.Add(1)
	for was := s.most.Load(); n > was && !s.most.CompareAndSwap(was, n); was = s.most.Load() {
	}
	return &countedBox{m, s.now}, nil
}

type countedBox struct {
	formats.Mailbox
	now *atomic.Int64
}

func (b *countedBox) Close() error {
	b.now.Add(-1)
	return b.Mailbox.Close()
}

// Several runs that share slots work together on no more mailboxes than those are, whatever each of them might.
func TestRunsThatShareSlots(t *testing.T) {
	const users, boxes, slots = 4, 8, 2
	var now, most atomic.Int64
	var runs errgroup.Group
	shared := sync.NewSlots(slots)
	for range users {
		src, dst := formats.NewMemory(), formats.NewMemory()
		for i := range boxes {
			name := fmt.Sprint("box", i)
			if err := src.Create(t.Context(), name, formats.Status{}); err != nil {
				t.Fatal(err)
			}
			m, err := src.Open(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Update(t.Context(), func(tx formats.Tx) error {
				return tx.Append(t.Context(), formats.Message{}, formats.BytesBody([]byte("x\n")))
			})
			if err != nil {
				t.Fatal(err)
			}
			m.Close()
		}
		runs.Go(func() error {
			_, err := sync.Mirror(t.Context(), counted{src, &now, &most}, dst, sync.Options{Jobs: boxes, Slots: shared})
			return err
		})
	}
	if err := runs.Wait(); err != nil {
		t.Fatal(err)
	}
	if most.Load() > slots || most.Load() == 0 || now.Load() != 0 {
		t.Errorf("%d mailboxes were open at a time, %d still are; there are %d slots", most.Load(), now.Load(), slots)
	}
}
