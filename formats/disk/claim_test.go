package disk

import (
	"errors"
	"testing"
)

func TestAFolderIsClaimedByOneHandleAtATime(t *testing.T) {
	root := t.TempDir()
	one, err := (&FS{}).OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	other, err := (&FS{}).OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	release, err := one.Claim()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Claim(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second claim: %v", err)
	}
	release()
	if _, err := other.Claim(); err != nil {
		t.Errorf("after the release: %v", err)
	}
	if _, err := one.Claim(); !errors.Is(err, ErrLocked) {
		t.Errorf("a third claim: %v", err)
	}
	other.Close()
	if _, err := one.Claim(); err != nil {
		t.Errorf("after the other was closed: %v", err)
	}
	one.Close()
}
