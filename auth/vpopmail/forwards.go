package vpopmail

import (
	"os"
	"strings"
)

// Forwards counts the addresses of a domain that are no accounts: its files .qmail-NAME, but for .qmail-default, which
// says what becomes of mail to nobody.
func Forwards(d Domain) (n int, err error) {
	names, err := os.ReadDir(d.Dir)
	for _, e := range names {
		if name, is := strings.CutPrefix(e.Name(), ".qmail-"); is && name != "default" {
			n++
		}
	}
	return n, err
}
