package imap_test

import (
	"testing"

	"dovetail/formats/formatstest/tmpfs"
)

// Most of the time of these tests is spent on syncing files.
func TestMain(m *testing.M) { tmpfs.Main(m) }
