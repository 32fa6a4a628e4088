package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestMain lets the scripts run this test binary as dovetail.
func TestMain(m *testing.M) {
	dovetail := func() {
		actAs(os.Getenv("ACT_AS"))
		main()
	}
	testscript.Main(besideDovecot{m, os.Getenv("PATH")}, map[string]func(){
		"dovetail":                   dovetail,
		"courier-dovecot-migrate.pl": dovetail,
		"doveconf":                   main,
		"dovecot":                    main,
		"treesum":                    treesum,
	})
}

// scriptPath is the PATH of scripts: in it this test binary has Dovecot's names, too.
var scriptPath string

// besideDovecot runs the tests so that the names of Dovecot's programs stay those of the real ones outside scripts: the
// judges would else ask this test binary, and skip.
type besideDovecot struct {
	*testing.M
	path string // before the commands of scripts were put in front of it
}

func (b besideDovecot) Run() int {
	scriptPath = os.Getenv("PATH")
	ours := filepath.SplitList(scriptPath)[0]
	os.Setenv("PATH", b.path+string(filepath.ListSeparator)+ours)
	return b.M.Run()
}

// TestScripts runs testdata/*.txtar: one script for each verb and kind of trouble. In them
//
//	exits 64 dovetail …     runs a command that must end with this code
//	treesum DIR             prints name, mode, modification time and checksum of the files below a folder
//	$SAMPLES                is the folder samples, $KEEP an empty folder outside the working folder
//	env ACT_AS=65534        makes dovetail drop root, where [root] holds
func TestScripts(t *testing.T) {
	samples, err := filepath.Abs("../../samples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", scriptPath)
			env.Setenv("SAMPLES", samples)
			env.Setenv("HOME", env.WorkDir)
			keep := env.WorkDir + "-keep"
			env.Setenv("KEEP", keep)
			return os.Mkdir(keep, 0o755)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no such condition: %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "tinydisk": tinydisk,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// tinydisk mounts a file system of a few kilobytes on a folder until the script ends: tinydisk DIR SIZE.
func tinydisk(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]); err != nil {
		ts.Fatalf("mount: %v", err)
	}
	ts.Defer(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// actAs drops root for another user, so that a script can meet files it may not read.
func actAs(uid string) {
	n, err := strconv.Atoi(uid)
	if err != nil {
		return
	}
	if err := errors.Join(unix.Setgroups(nil), unix.Setgid(n), unix.Setuid(n)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// treesum prints what a run that changes nothing must leave as it was.
func treesum() {
	err := filepath.WalkDir(os.Args[1], func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(d.Name(), "dovetail-"):
			// Our own record may learn more: a source that is too fresh to be known by its time stamp now is not so later.
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Printf("%s %s %d %x\n", path, info.Mode(), info.ModTime().UnixNano(), sha256.Sum256(content))
		default:
			fmt.Println(path, info.Mode())
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
