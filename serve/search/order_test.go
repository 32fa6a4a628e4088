package search

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMessagesAreSortedByTheirTextsAndNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"", "A", "A\x00", "A\x00\x00", "SEVENCH", "SEVENCH\x00", "SEVENCHA", strings.Repeat("LONG ", 40), strings.Repeat("LONG ", 40) + "B", "\xff", "AB"}
	for _, n := range []int{0, 1, 2, 20, 300, 5000} {
		for _, reverse := range []bool{false, true} {
			list := []criterion{{name: "SUBJECT", reverse: reverse}, {name: "DATE", numbers: []int64{}, reverse: !reverse}, {name: "TO"}}
			for i := range n {
				list[0].texts.add([]byte(words[r.IntN(len(words))] + words[r.IntN(len(words))]))
				list[1].numbers = append(list[1].numbers, r.Int64N(5)-2)
				list[2].texts.add([]byte(fmt.Sprint("x", i%7)))
			}
			want := make([]uint32, n)
			for i := range want {
				want[i] = uint32(i)
			}
			o := orderer{list: list}
			slices.SortFunc(want, func(a, b uint32) int { return o.compare(a, b, 0) })
			for i, p := range inOrder(list, n) {
				if p.of != want[i] {
					t.Fatalf("%d messages, reverse %v: at place %d is %d, want %d", n, reverse, i, p.of, want[i])
				}
			}
		}
	}
}

func TestPiecesAreInTheOrderOfTheirTexts(t *testing.T) {
	c := criterion{}
	texts := []string{"", "\x00", "\x00\x00", "A", "A\x00", "AB", "ABCDEFG", "ABCDEFGH", "ABCDEFH", "\xff\xff\xff\xff\xff\xff\xff\xff"}
	for _, text := range texts {
		c.texts.add([]byte(text))
	}
	for a := range texts {
		for b := range texts {
			if got, want := cmp.Compare(c.piece(uint32(a), 0), c.piece(uint32(b), 0)), strings.Compare(texts[a], texts[b]); got != want && got != 0 {
				t.Errorf("%q and %q: got %d, want %d", texts[a], texts[b], got, want)
			}
		}
	}
}
