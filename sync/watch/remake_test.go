package watch

import (
	"testing"

	"dovetail/formats"
	"dovetail/formats/sdbox"
)

func TestAChunkThatIsMadeAnewKeepsWhatIsKnownOfSizes(t *testing.T) {
	s, err := sdbox.Open(t.Context(), sdbox.Options{Root: t.TempDir(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	b := open(t, NewHub(0), s)
	const n = 2*chunkSize + 10
	fill(t, b, n)
	was := b.Snapshot()
	was.SetSize(5, 77)
	before := model(was)
	if _, err := b.Update(t.Context(), func(tx formats.Tx) error {
		uids := formats.RangesOf(5)
		uids.Add(n - 1)
		if err := tx.SetFlags(uids, formats.FlagChange{Flags: formats.Flagged}); err != nil {
			return err
		}
		return tx.Append(t.Context(), formats.Message{}, body("x\n"))
	}); err != nil {
		t.Fatal(err)
	}
	is := b.Snapshot()
	for _, seq := range []uint32{5, n - 1} {
		if is.At(seq).Flags() != formats.Flagged || was.At(seq).Flags() != 0 {
			t.Errorf("message %d has %v and had %v", seq, is.At(seq).Flags(), was.At(seq).Flags())
		}
	}
	if size, ok := is.At(5).Size(); !ok || size != 77 {
		t.Errorf("size %d, %v", size, ok)
	}
	if is.Len() != n+1 || is.chunks[1] != was.chunks[1] {
		t.Errorf("%d messages, or the chunk in which nothing changed is another one", is.Len())
	}
	if after := model(was); len(after) != len(before) || after[4] != before[4] {
		t.Error("the older snapshot is another one")
	}
}
