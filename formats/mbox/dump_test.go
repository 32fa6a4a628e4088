package mbox

import (
	"strings"
	"testing"
)

func TestDump(t *testing.T) {
	const file = "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\nContent-Length: 3\nX-UID: 7\n\nhi\n\n" +
		"From c@d Mon Jan  1 00:00:01 2024\nContent-Length: 99\n\nyo\n"
	const want = `         0  message 1: From a@b Mon Jan  1 00:00:00 2024
        34  header of 39 bytes
        45    Content-Length: 3
        63    X-UID: 7
        73  body of 3 bytes
        77  message 2: From c@d Mon Jan  1 00:00:01 2024
       111  header of 20 bytes; Content-Length is wrong, the message ends at the next From_ line
       111    Content-Length: 99
       131  body of 2 bytes
       134  end
`
	var got strings.Builder
	if err := Dump(&got, strings.NewReader(file), int64(len(file))); err != nil || got.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got.String(), want)
	}
	if Dump(&got, strings.NewReader("no mbox"), 7) == nil {
		t.Error("a file without From_ line was taken for an mbox")
	}
}
