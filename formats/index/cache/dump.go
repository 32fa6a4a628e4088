package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Dump prints a cache: header, fields and records with the offset of each. Records are taken one after another, as they
// lie in the file; where that meets a field header, it is skipped. Damage ends it and is the error.
func Dump(w io.Writer, r io.ReaderAt, size int64) error {
	out := bufio.NewWriter(w)
	err := dump(out, r, size)
	if err != nil {
		fmt.Fprintf(out, "          %v\n", err)
	}
	return errors.Join(err, out.Flush())
}

func dump(w io.Writer, r io.ReaderAt, size int64) error {
	h, err := ReadHeader(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%8d  cache 1.%d indexid=%d seq=%d records=%d continued=%d deleted=%d fields-at=%d\n",
		0, h.Minor, h.IndexID, h.Seq, h.Messages, h.Continued, h.Deleted, h.Fields)
	if h.Fields == 0 {
		return nil
	}
	skip := map[int64]int64{} // offsets of field headers and their ends
	for at := int64(h.Fields); at != 0 && skip[at] == 0; {
		_, end, next, err := readFields(r, at, size)
		if err != nil {
			return err
		}
		skip[at] = end
		at = next
	}
	fields, at, err := ReadFields(r, int64(h.Fields), size)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%8d  %d fields\n", at, len(fields))
	for i, f := range fields {
		fmt.Fprintf(w, "          field %d %q type=%d decision=%#x size=%d last-used=%d\n", i, f.Name, f.Type, f.Decision, int32(f.Size), f.LastUsed)
	}
	return dumpRecords(w, r, size, fields, skip)
}

func dumpRecords(w io.Writer, r io.ReaderAt, size int64, fields []Field, skip map[int64]int64) error {
	for at := int64(headerSize); at < size; {
		if end, ok := skip[at]; ok {
			at = end
			continue
		}
		values, older, err := ReadRecord(r, at, size, fields)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%8d  record older=%d\n", at, older)
		end := at + 8
		for _, v := range values {
			f := fields[v.Field]
			end += 4 + pad4(int64(len(v.Data)))
			if f.Size == Variable {
				end += 4
			}
			switch f.Type {
			case 2, 4:
				fmt.Fprintf(w, "          %s %q\n", f.Name, v.Data)
			default:
				fmt.Fprintf(w, "          %s %x\n", f.Name, v.Data)
			}
		}
		at = end
	}
	return nil
}

func pad4(n int64) int64 { return (n + 3) &^ 3 }
