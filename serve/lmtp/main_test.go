package lmtp_test

import (
	"testing"

	"dovetail/formats/formatstest/tmpfs"
)

func TestMain(m *testing.M) { tmpfs.Main(m) }
