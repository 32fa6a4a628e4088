package formatstest

import (
	"context"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func TestMemory(t *testing.T) {
	stores := map[string]*formats.Memory{}
	Run(t, func(_ context.Context, root string, fsys *disk.FS, _ bool) (formats.Store, error) {
		if stores[root] == nil {
			stores[root] = formats.NewMemory()
		}
		if fsys.ReadOnly {
			return formats.ReadOnly(stores[root]), nil
		}
		return stores[root], nil
	})
}
