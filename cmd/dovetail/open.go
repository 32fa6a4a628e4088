package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/location"
)

// locationFlag is how verbs that take mailbox names are told the store.
func locationFlag(cmd *cobra.Command, spec *string) {
	cmd.Flags().StringVar(spec, "location", "", "the store, as `LOC`: see \"dovetail help locations\"")
}

func parseLocation(spec string) (location.Location, error) {
	if spec == "" {
		return location.Location{}, usagef("no store named: --location is missing or empty")
	}
	home, _ := os.UserHomeDir() // without one, Parse refuses "~" and says why
	loc, err := location.Parse(spec, location.Vars{Home: home})
	if err != nil {
		return loc, &usageError{err}
	}
	return loc, nil
}

// openSource opens a store so that nothing can be written to it.
func openSource(ctx context.Context, spec string) (formats.Store, error) {
	loc, err := parseLocation(spec)
	if err != nil {
		return nil, err
	}
	return location.Open(ctx, loc, location.Options{FS: &disk.FS{ReadOnly: true}})
}

// openRepair opens an existing store for writing; its files keep belonging to the owner of its root.
func openRepair(ctx context.Context, spec string) (formats.Store, error) {
	loc, err := parseLocation(spec)
	if err != nil {
		return nil, err
	}
	own, err := ownerOf(loc)
	if err != nil {
		return nil, err
	}
	return location.Open(ctx, loc, location.Options{FS: own.fileSystem()})
}

// openTarget opens a store for writing and makes it if there is none. Without own, files belong to the owner of its
// root, else to the source's.
func openTarget(ctx context.Context, spec, source string, own *owner) (formats.Store, error) {
	dst, err := parseLocation(spec)
	if err != nil {
		return nil, err
	}
	src, err := parseLocation(source)
	if err != nil {
		return nil, err
	}
	if own == nil {
		if own, err = ownerOf(dst, src); err != nil {
			return nil, err
		}
	}
	return location.Open(ctx, dst, location.Options{FS: own.fileSystem(), Create: true})
}

// identity names a source across runs and working folders.
func identity(spec string) string {
	loc, err := parseLocation(spec)
	if err != nil {
		return spec
	}
	return loc.Identity()
}
