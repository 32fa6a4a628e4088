package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const nobody = 65534

// ids of the mail user.
func ids() (uid, gid int) {
	if os.Getuid() == 0 {
		return nobody, nobody
	}
	return os.Getuid(), os.Getgid()
}

func own(path string) error {
	uid, gid := ids()
	return os.Chown(path, uid, gid)
}

// command runs as whoever runs the bench.
func command(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// asUser runs as the mail user.
func asUser(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "USER=bench", "TZ=UTC", "GOMEMLIMIT=" + os.Getenv("GOMEMLIMIT")}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// cost is what one run took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes
}

// timed runs a command after everything dirty has gone to the disk. Exit codes in ok count as success.
func timed(cmd *exec.Cmd, ok ...int) (cost, error) {
	syscall.Sync()
	return ran(cmd, ok...)
}

// ran is timed for what does not write.
func ran(cmd *exec.Cmd, ok ...int) (cost, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	c := cost{wall: time.Since(began)}
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		for _, code := range ok {
			if exit.ExitCode() == code {
				err = nil
			}
		}
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w\n%s", cmd, err, out.Bytes()[:min(out.Len(), 4000)])
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, is := cmd.ProcessState.SysUsage().(*syscall.Rusage); is {
		c.peak = usage.Maxrss << 10 // never less than this program's own, which the child begins as
	}
	return c, nil
}

// sources is the generated mail in each format.
type sources struct {
	location map[string]string
	bytes    int64
}

func generate(o options, dir string, n int) (sources, error) {
	s := sources{location: map[string]string{
		"mbox":    "mbox:" + filepath.Join(dir, "mbox") + ":INBOX=" + filepath.Join(dir, "inbox"),
		"maildir": "maildir:" + filepath.Join(dir, "maildir"),
		"sdbox":   "sdbox:" + filepath.Join(dir, "sdbox"),
	}}
	mailgen := filepath.Join(o.dir, "mailgen")
	common := []string{"-n", strconv.Itoa(n), "-profile", o.profile}
	maildir := append(common, "-format", "maildir", "-control", "dovecot", "-out", filepath.Join(dir, "maildir"))
	if _, err := timed(asUser(dir, mailgen, maildir...)); err != nil {
		return s, err
	}
	mbox := append(common, "-format", "mbox", "-mbox", "cl2", "-out", filepath.Join(dir, "inbox"))
	if _, err := timed(asUser(dir, mailgen, mbox...)); err != nil {
		return s, err
	}
	if err := os.Mkdir(filepath.Join(dir, "mbox"), 0o700); err != nil {
		return s, err
	}
	if err := own(filepath.Join(dir, "mbox")); err != nil {
		return s, err
	}
	if _, err := timed(asUser(dir, o.dovetail, "convert", "-q", s.location["maildir"], s.location["sdbox"]), 2); err != nil {
		return s, err
	}
	info, err := os.Stat(filepath.Join(dir, "inbox"))
	if err == nil {
		s.bytes = info.Size()
	}
	return s, err
}

// bench is one pair at one size.
type bench struct {
	options
	dir      string
	n        int
	from, to string
	source   string
	floor    time.Duration
}

func (b *bench) run() error {
	target := filepath.Join(b.dir, "target")
	defer os.RemoveAll(target)
	location := b.to + ":" + target
	convert := func() (cost, error) {
		return timed(asUser(b.dir, b.dovetail, "convert", "-q", b.source, location), 2)
	}
	first, err := convert()
	if err != nil {
		return err
	}
	again, err := convert()
	if err != nil {
		return err
	}
	if err := b.bare(target, "group", "floor: syncfs by groups"); err != nil {
		return err
	}
	b.print("dovetail convert", first)
	b.print("dovetail, nothing to do", again)
	if err := b.bare(target, "none", "floor: no sync"); err != nil {
		return err
	}
	if b.each {
		if err := b.bare(target, "each", "floor: fdatasync each"); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if !b.dovecot {
		return nil
	}
	if err := b.doveadm("never", "doveadm backup, no fsync"); err != nil || !b.defaultFsync {
		return err
	}
	return b.doveadm("optimized", "doveadm backup, default")
}

func (b *bench) print(what string, c cost) {
	ratio := ""
	if b.floor > 0 {
		ratio = fmt.Sprintf("%.2f", c.wall.Seconds()/b.floor.Seconds())
	}
	fmt.Printf("%-14s %-26s %9.2f %9.2f %9.1f %10.0f %8s\n", b.from+"→"+b.to, what, c.wall.Seconds(), c.cpu.Seconds(),
		float64(c.peak)/(1<<20), float64(b.n)/c.wall.Seconds(), ratio)
}

// bare writes the files of target again, with nothing but the system calls.
func (b *bench) bare(target, mode, what string) error {
	to := filepath.Join(b.dir, "bare")
	defer os.RemoveAll(to)
	c, err := timed(asUser(b.dir, filepath.Join(b.options.dir, "bench"), "floor", mode, target, to))
	if err != nil {
		return err
	}
	if mode == "group" {
		b.floor = c.wall
	}
	b.print(what, c)
	return nil
}

// doveadm converts with real Dovecot. It works on a copy of an mbox, because it writes UIDs into it.
func (b *bench) doveadm(fsync, what string) error {
	if _, err := exec.LookPath("doveadm"); err != nil {
		fmt.Printf("%-14s %-26s not installed\n", b.from+"→"+b.to, what)
		return nil
	}
	private := filepath.Join(b.dir, "dovecot")
	defer os.RemoveAll(private)
	source := b.source
	if err := os.MkdirAll(filepath.Join(private, "run"), 0o700); err != nil {
		return err
	}
	if b.from == "mbox" {
		source = "mbox:" + private + "/mbox:INBOX=" + private + "/inbox"
		if out, err := command("cp", filepath.Join(b.dir, "inbox"), private+"/inbox").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	uid, gid := ids()
	conf := fmt.Sprintf("base_dir = %[1]s/run\nstate_dir = %[1]s/run\nlog_path = %[1]s/log\nmail_location = %[2]s\nmail_home = %[1]s\n"+
		"mail_uid = %[3]d\nmail_gid = %[4]d\nfirst_valid_uid = 1\nssl = no\nstats_writer_socket_path =\nmail_fsync = %[5]s\n"+
		"namespace inbox {\n inbox = yes\n separator = /\n}\n", private, source, uid, gid, fsync)
	if err := os.WriteFile(private+"/conf", []byte(conf), 0o644); err != nil {
		return err
	}
	if err := ownAll(private); err != nil {
		return err
	}
	c, err := timed(asUser(b.dir, "doveadm", "-c", private+"/conf", "backup", b.to+":"+private+"/target"))
	if err != nil {
		return err
	}
	b.print(what, c)
	return nil
}

func ownAll(root string) error {
	uid, gid := ids()
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
