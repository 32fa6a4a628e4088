package options

import (
	"io"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// File is a setting whose value is what stands in a file: <PATH in 2.3, PATH or
// inline:TEXT in 2.4. The zero File is none.
type File struct {
	Path   string // "": Inline is the content
	Inline string
}

// maxFile bounds what is read: certificates, keys and lists of CAs.
const maxFile = 16 << 20

func newFile(v config.Value, d conf.Dialect) File {
	inline, isInline := strings.CutPrefix(v.Text, "inline:")
	switch {
	case v.Text == "":
		return File{}
	case v.File != "":
		return File{Path: v.File}
	case d == conf.V24 && isInline:
		return File{Inline: inline}
	case d == conf.V24:
		return File{Path: v.Text}
	}
	return File{Inline: v.Text}
}

// Set tells whether there is a file at all.
func (f File) Set() bool { return f != File{} }

// Read gives the content as it is now: a renewed certificate is seen by whoever
// reads again.
func (f File) Read(src conf.Source) ([]byte, error) {
	if f.Path == "" {
		return []byte(f.Inline), nil
	}
	file, err := src.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile))
}
