package index

import (
	"testing"

	"dovetail/formats"
)

// appendGroups appends n messages in transactions of group.
func appendGroups(b *testing.B, x *Index, n, group int, m Message) {
	b.Helper()
	for n > 0 {
		err := x.Update(b.Context(), func(tx *Tx) error {
			for range min(group, n) {
				if m.ModSeq != 0 {
					m.ModSeq++
				}
				if _, err := tx.Append(m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		n -= group
	}
}

func BenchmarkAppend100000InGroups(b *testing.B) {
	for _, c := range []struct {
		name string
		m    Message
	}{
		{"plain", Message{}},
		{"with keywords", Message{Keywords: []string{"a", "b"}}},
		{"with modseqs", Message{ModSeq: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				x, err := Create(b.Context(), testDir(b, nil), Prefix, New{HighestModSeq: 200000})
				if err != nil {
					b.Fatal(err)
				}
				appendGroups(b, x, 100_000, 4_000, c.m)
				x.Close()
			}
		})
	}
}

func BenchmarkOpen100000(b *testing.B) {
	d := testDir(b, nil)
	x, err := Create(b.Context(), d, Prefix, New{})
	if err != nil {
		b.Fatal(err)
	}
	appendGroups(b, x, 100_000, 4_000, Message{Flags: formats.Seen, Keywords: []string{"a"}, ModSeq: 1})
	x.Close()
	b.ReportAllocs()
	for b.Loop() {
		s, err := Read(d, Prefix)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range s.All() {
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}
