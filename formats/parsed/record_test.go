package parsed

import (
	"bytes"
	"testing"
)

// A record that can be read gives the same items when it is written and read again.
func FuzzRecord(f *testing.F) {
	d := &Data{Size: 100, VirtualSize: 110, Envelope: []byte("(x)"), HasHeader: true, Header: []byte("A: b\n"), More: []string{"X"}}
	f.Add(appendRecord(nil, 5, d)[recordStart:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		var d, again Data
		uid, err := d.decode(payload)
		if err != nil {
			return
		}
		out := appendRecord(nil, uid, &d)
		if len(out) == 0 {
			return
		}
		id, err := again.decode(out[recordStart:])
		if err != nil || id != uid || !bytes.Equal(appendRecord(nil, id, &again), out) {
			t.Fatalf("%x gave %+v, again %+v, %v", payload, d, again, err)
		}
	})
}
