package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// courierMain measures conversions of Courier's control files: one folder with many entries, and many Maildirs. Beside each
// stands the floor: the same folders listed and the same files read; and the same lists written and made durable.
func courierMain(args []string) {
	flags := flag.NewFlagSet("bench courier", flag.ExitOnError)
	dir := flags.String("dir", "", "folder to work in; default a temporary one")
	dovetail := flags.String("dovetail", "bin/dovetail", "the program to measure")
	entries := flags.Int("entries", 200000, "messages of the one folder")
	maildirs := flags.Int("maildirs", 100, "number of Maildirs")
	messages := flags.Int("messages", 1000, "messages of each of them")
	flags.Parse(args) // ends the program itself
	b := courierBench{dir: *dir, dovetail: *dovetail}
	if err := b.run(*entries, *maildirs, *messages); err != nil {
		log.Fatal("bench courier: ", err)
	}
}

type courierBench struct{ dir, dovetail, self string }

func (b *courierBench) run(entries, maildirs, messages int) error {
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "dovetail-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.dir = dir
	}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dovetail, err = filepath.Abs(b.dovetail); err != nil {
		return err
	}
	fmt.Printf("%-56s %9s %9s %9s %8s\n", "", "wall s", "CPU s", "peak MiB", "× floor")
	for _, site := range []struct {
		name                        string
		maildirs, messages, keyword int
	}{
		{"one folder", 1, entries, 0},
		{"one folder, keywords", 1, entries, 10}, // as many files get another name
		{"many Maildirs", maildirs, messages, 10},
	} {
		if err := b.site(site.name, site.maildirs, site.messages, site.keyword); err != nil {
			return fmt.Errorf("%s: %w", site.name, err)
		}
	}
	return nil
}

// site makes Maildirs and measures them.
func (b *courierBench) site(name string, maildirs, messages, keyword int) error {
	root := filepath.Join(b.dir, strconv.Itoa(maildirs))
	defer os.RemoveAll(root)
	for i := range maildirs {
		if err := makeCourier(filepath.Join(root, fmt.Sprintf("user%04d", i), "Maildir"), messages, keyword); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%s, %d × %d", name, maildirs, messages)
	if _, err := timed(command(b.self, "lists", "read", root)); err != nil { // so that nobody pays for the first look
		return err
	}
	floor, err := timed(command(b.self, "lists", "read", root))
	if err != nil {
		return err
	}
	b.line(what+": read (floor)", floor, floor)
	for _, step := range []struct {
		name string
		args []string
	}{
		{"look", []string{"courier", "--quiet", "--recursive", root}},
		{"convert", []string{"courier", "--quiet", "--recursive", "--convert", root}},
		{"convert again", []string{"courier", "--quiet", "--recursive", "--convert", root}},
	} {
		c, err := timed(command(b.dovetail, step.args...))
		if err != nil {
			return err
		}
		b.line(what+": "+step.name, c, floor)
	}
	c, err := timed(command(b.self, "lists", "write", root))
	if err != nil {
		return err
	}
	b.line(what+": write and fsync the lists", c, floor)
	return nil
}

func (b *courierBench) line(what string, c, floor cost) {
	fmt.Printf("%-56s %9.2f %9.2f %9d %8.1f\n", what, c.wall.Seconds(), c.cpu.Seconds(), c.peak>>20, float64(c.wall)/float64(floor.wall))
}

// makeCourier makes one Maildir with all kinds of lists; each keyword-th message has a keyword, with 0 none.
func makeCourier(root string, messages, keyword int) error {
	for _, sub := range []string{"cur", "new", "tmp", "courierimapkeywords"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
			return err
		}
	}
	lists := map[string]*bufio.Writer{}
	for _, name := range []string{"courierimapuiddb", "courierpop3dsizelist", "courierimapkeywords/:list", "courierimapsubscribed"} {
		f, err := os.Create(filepath.Join(root, name))
		if err != nil {
			return err
		}
		defer f.Close()
		lists[name] = bufio.NewWriter(f)
	}
	uids, pop, keywords := lists["courierimapuiddb"], lists["courierpop3dsizelist"], lists["courierimapkeywords/:list"]
	fmt.Fprintf(uids, "1 142307211 %d\n", messages+1)
	fmt.Fprintf(pop, "/2 %d 1400000000\n", messages+1)
	keywords.WriteString("$Forwarded\nWork\n\n")
	lists["courierimapsubscribed"].WriteString("INBOX\n")
	for i := range messages {
		base := fmt.Sprintf("%d.M%06dP%dV0000000000000803I%016x_0.mail.example.com,S=22", 1400000000+i, i%1000000, 1000+i%30000, i)
		path := filepath.Join(root, "cur", base+":2,S")
		if err := os.WriteFile(path, []byte("Subject: x\n\nmessage\n\n\n"), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(uids, "%d %s\n", i+1, base)
		fmt.Fprintf(pop, "%s:2,S 27 %d:1400000000\n", base, i+1)
		if keyword > 0 && i%keyword == 0 {
			fmt.Fprintf(keywords, "%s:%d\n", base, i/keyword%2)
		}
	}
	for _, list := range lists {
		if err := list.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// listsMain is the bare work on the Maildirs below root: "read" lists their folders and reads their lists, "write" writes
// Dovecot's list of each once more and makes it durable.
func listsMain(args []string) {
	if len(args) != 2 {
		log.Fatal("usage: bench lists read|write ROOT")
	}
	found, err := filepath.Glob(filepath.Join(args[1], "*", "Maildir"))
	if err == nil && len(found) == 0 {
		err = os.ErrNotExist
	}
	for _, root := range found {
		if err != nil {
			break
		}
		if args[0] == "write" {
			err = writeList(root)
		} else {
			err = readLists(root)
		}
	}
	if err != nil {
		log.Fatal("lists: ", err)
	}
}

func readLists(root string) error {
	for _, sub := range []string{".", "cur", "new"} {
		d, err := os.Open(filepath.Join(root, sub))
		if err != nil {
			return err
		}
		_, err = d.Readdirnames(-1)
		d.Close()
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"courierimapuiddb", "courierpop3dsizelist", "courierimapkeywords/:list", "courierimapsubscribed"} {
		if _, err := os.ReadFile(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

func writeList(root string) error {
	b, err := os.ReadFile(filepath.Join(root, "dovecot-uidlist"))
	if err != nil {
		return err
	}
	path := filepath.Join(root, strings.Repeat("x", 8))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(path, path+".done")
}
