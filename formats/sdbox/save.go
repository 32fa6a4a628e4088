package sdbox

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/disk"
)

// saveBuffer holds a whole file of most messages, so that it is written with one call.
const saveBuffer = 128 << 10

var saveBuffers = sync.Pool{New: func() any { b := make([]byte, 0, saveBuffer); return &b }}

// writeMessage makes a complete message file under a temporary name and gives it open, not yet synced.
func writeMessage(ctx context.Context, dir *disk.Dir, name string, mode os.FileMode, created time.Time, body formats.Body, meta dbox.Metadata) (*disk.File, error) {
	f, err := dir.Create(name, mode)
	if err != nil {
		return nil, err
	}
	buf := saveBuffers.Get().(*[]byte)
	defer saveBuffers.Put(buf)
	w := fileWriter{ctx: ctx, f: f, buf: (*buf)[:0]}
	if err := w.message(uint64(created.Unix()), body, meta); err != nil {
		f.Close()
		dir.Remove(name) // best effort: the error that matters is the first
		return nil, err
	}
	return f, nil
}

// fileWriter collects a message file in buf and writes it when full.
type fileWriter struct {
	ctx     context.Context
	f       *disk.File
	buf     []byte
	flushed int64 // bytes of the file before buf
}

func (w *fileWriter) message(created uint64, body formats.Body, meta dbox.Metadata) error {
	w.buf = dbox.AppendFileHeader(w.buf, created)
	headerAt := len(w.buf)
	w.buf = dbox.AppendMessageHeader(w.buf, body.Size())
	size, err := w.body(body, &meta)
	if err != nil {
		return err
	}
	trailer, err := meta.Append(nil)
	if err != nil {
		return err
	}
	if len(w.buf)+len(trailer) > cap(w.buf) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, trailer...)
	switch {
	case size == body.Size():
	case w.flushed == 0: // the source did not know its size well: put the true one into the header
		dbox.AppendMessageHeader(w.buf[:headerAt], size)
	default:
		if _, err := w.f.WriteAt(dbox.AppendMessageHeader(nil, size), int64(headerAt)); err != nil {
			return err
		}
	}
	return w.flush()
}

// body copies the message and measures it.
func (w *fileWriter) body(body formats.Body, meta *dbox.Metadata) (int64, error) {
	var lines dbox.LineCounter
	for {
		if err := w.ctx.Err(); err != nil {
			return 0, err
		}
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
		n, err := body.ReadAt(w.buf[len(w.buf):cap(w.buf)], lines.Size)
		lines.Count(w.buf[len(w.buf) : len(w.buf)+n])
		w.buf = w.buf[:len(w.buf)+n]
		if errors.Is(err, io.EOF) || err == nil && lines.Size == body.Size() {
			if meta.Plain == dbox.Absent { // else these bytes are not what clients see
				meta.VirtualSize = lines.VirtualSize()
			}
			return lines.Size, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func (w *fileWriter) flush() error {
	n, err := w.f.Write(w.buf)
	w.flushed += int64(n)
	w.buf = w.buf[:0]
	return err
}
