package compress

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"dovetail/formats"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// pack compresses with the libraries' writers; bz2 has none and comes from testdata.
func pack(t testing.TB, kind Kind, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case Gz:
		w = gzip.NewWriter(&b)
	case Zstd:
		w, err = zstd.NewWriter(&b)
	case XZ:
		w, err = xz.NewWriter(&b)
	case LZ4:
		return packLZ4(t, plain, 64<<10)
	}
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packLZ4(t testing.TB, plain []byte, chunk int) []byte {
	t.Helper()
	out := binary.BigEndian.AppendUint32([]byte(lz4Magic), uint32(chunk))
	for len(plain) > 0 {
		n := min(chunk, len(plain))
		block := make([]byte, lz4.CompressBlockBound(n))
		size, err := lz4.CompressBlock(plain[:n], block, nil)
		if err != nil || size == 0 {
			t.Fatalf("lz4 block of %d bytes: %d, %v", n, size, err)
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(size)), block[:size]...)
		plain = plain[n:]
	}
	return out
}

var mail = []byte("Subject: v\n\n" + strings.Repeat("a line that repeats itself\n", 9000))

func TestDecodeGivesThePlainMessage(t *testing.T) {
	for _, kind := range []Kind{Gz, Zstd, LZ4, XZ} {
		packed := pack(t, kind, mail)
		if got := Detect(packed[:MagicSize]); got != kind {
			t.Errorf("%s detected as %q", kind, got)
		}
		body, err := Decode(kind, bytes.NewReader(packed), int64(len(mail)))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		var got bytes.Buffer
		if _, err := body.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), mail) || body.Size() != int64(len(mail)) {
			t.Errorf("%s: %d bytes came back, size %d, want %d: %v", kind, got.Len(), body.Size(), len(mail), err)
		}
		part := make([]byte, 7)
		if n, err := body.ReadAt(part, 100); n != 7 || err != nil || !bytes.Equal(part, mail[100:107]) {
			t.Errorf("%s: part %q, %v", kind, part[:n], err)
		}
		body.Close()
	}
}

// bzip2Mail is what bzip2 1.0.8 makes of "Subject: v\n\nhi\n".
const bzip2Mail = "QlpoOTFBWSZTWR14pVwAAALbgAAQQAAAEAgAGnAHACAAIpgjD1CAaAClfFLGMA0XckU4UJAdeKVc"

func TestDetectKnowsEveryMagicAndNoMail(t *testing.T) {
	bz, err := base64.StdEncoding.DecodeString(bzip2Mail)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, head string
		want       Kind
	}{
		{"a mail", "Return-Path: <>", None},
		{"nothing", "", None},
		{"one byte of a magic", "\x1f", None},
		{"a bzip2 file", string(bz[:MagicSize]), Bz2},
		{"a header field called BZh9", "BZh9: x\n", None},
		{"bzip2 without a level", "BZhx1AY&SY", None},
		{"an empty bzip2 file", "BZh9\x17\x72\x45\x38\x50\x90", Bz2},
	} {
		if got := Detect([]byte(c.head)); got != c.want {
			t.Errorf("%s: Detect(%q) = %q, want %q", c.name, c.head, got, c.want)
		}
	}
}

func TestDamagedAndOvergrownInputIsCorrupt(t *testing.T) {
	gz, l4 := pack(t, Gz, mail), pack(t, LZ4, mail)
	for _, c := range []struct {
		name  string
		kind  Kind
		in    []byte
		limit int64
	}{
		{"a gz cut in the middle", Gz, gz[:len(gz)/2], MaxSize},
		{"a gz that grows beyond its size", Gz, gz, 100},
		{"an lz4 cut in a block", LZ4, l4[:len(l4)-3], MaxSize},
		{"an lz4 cut in a length", LZ4, append(bytes.Clone(l4), 0, 0), MaxSize},
		{"an lz4 whose chunks would take 4 GiB", LZ4, []byte(lz4Magic + "\xff\xff\xff\xff"), MaxSize},
		{"an lz4 with a block of 2 GiB", LZ4, []byte(lz4Magic + "\x00\x01\x00\x00\x7f\xff\xff\xff"), MaxSize},
		{"an empty file", XZ, nil, MaxSize},
	} {
		body, err := Decode(c.kind, bytes.NewReader(c.in), c.limit)
		if err == nil {
			body.Close()
		}
		if !errors.Is(err, formats.ErrCorrupt) {
			t.Errorf("%s: %v, want corrupt", c.name, err)
		}
	}
}

func TestALargeMessageLeavesNoFileBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	plain := bytes.Repeat(mail, 5)
	body, err := Decode(Gz, bytes.NewReader(pack(t, Gz, plain)), MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := make([]byte, len(plain))
	if _, err := body.ReadAt(got, 0); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("came back different: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a name is left in the temporary folder: %v", left)
	}
}

// FuzzDecode: whatever comes in, it neither panics nor gives more than the limit.
func FuzzDecode(f *testing.F) {
	for _, kind := range []Kind{Gz, Zstd, LZ4, XZ} {
		f.Add(pack(f, kind, []byte("Subject: v\n\nhi hi hi hi hi hi hi hi hi hi hi hi\n")))
	}
	bz, _ := base64.StdEncoding.DecodeString(bzip2Mail)
	f.Add(bz)
	f.Fuzz(func(t *testing.T, b []byte) {
		kind := Detect(b[:min(len(b), MagicSize)])
		if kind == None {
			return
		}
		const limit = 1 << 16
		body, err := Decode(kind, bytes.NewReader(b), limit)
		if err != nil {
			return
		}
		defer body.Close()
		if body.Size() > limit {
			t.Fatalf("%s: %d bytes from %q", kind, body.Size(), b)
		}
	})
}
