package mbox_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/mbox"
)

const (
	benchMessages = 20_000
	benchSize     = 17 << 10
)

func benchText() string {
	return "Return-Path: <ann@example.org>\nReceived: from x by y;\n\tThu, 9 Nov 2001 22:33:52 +0000\nMessage-ID: <1@example.org>\nSubject: hello\n\n" +
		strings.Repeat("The quick brown fox jumps over the lazy dog, and then does it again.\n", benchSize/69)
}

// BenchmarkFill writes 20,000 messages of 17 KB into a fresh mailbox, durably.
func BenchmarkFill(b *testing.B) {
	text := benchText()
	b.SetBytes(benchMessages * int64(len(text)))
	for b.Loop() {
		root := b.TempDir()
		s := open(b, mbox.Options{Root: root, FS: &disk.FS{}})
		box := create(b, s, "box", formats.Status{UIDValidity: 1})
		update(b, box, func(tx formats.Tx) error {
			for i := range benchMessages {
				m := formats.Message{UID: formats.UID(i + 1), Flags: formats.Seen}
				m.InternalDate = time.Unix(int64(i), 0)
				if err := tx.Append(context.Background(), m, body(text)); err != nil {
					return err
				}
			}
			return nil
		})
		os.RemoveAll(root)
	}
}

// BenchmarkFillFloor writes as many bytes into one file, and syncs it.
func BenchmarkFillFloor(b *testing.B) {
	text := []byte(strings.Repeat(benchText(), 32))
	b.SetBytes(benchMessages * int64(len(text)) / 32)
	for b.Loop() {
		f, err := os.Create(b.TempDir() + "/file")
		if err != nil {
			b.Fatal(err)
		}
		for range benchMessages / 32 {
			if _, err := f.Write(text); err != nil {
				b.Fatal(err)
			}
		}
		f.Sync()
		f.Close()
		os.Remove(f.Name())
	}
}

// BenchmarkRead lists a mailbox of 20,000 messages and reads every body.
func BenchmarkRead(b *testing.B) {
	text := benchText()
	root := b.TempDir()
	s := open(b, mbox.Options{Root: root, FS: &disk.FS{}})
	box := create(b, s, "box", formats.Status{UIDValidity: 1})
	update(b, box, func(tx formats.Tx) error {
		for i := range benchMessages {
			if err := tx.Append(context.Background(), formats.Message{UID: formats.UID(i + 1)}, body(text)); err != nil {
				return err
			}
		}
		return nil
	})
	b.SetBytes(benchMessages * int64(len(text)))
	for b.Loop() {
		again := mailbox(b, open(b, mbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}}), "box")
		n := 0
		for m, err := range again.Messages(b.Context(), formats.Query{}) {
			if err != nil {
				b.Fatal(err)
			}
			bd, err := again.Body(b.Context(), &m)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := bd.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
			bd.Close()
			n++
		}
		if n != benchMessages {
			b.Fatal(fmt.Sprint(n))
		}
	}
}
