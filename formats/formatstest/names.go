package formatstest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

// goodNames can be held by every format.
var goodNames = []string{
	"Plain", "With space", "Größe", "日本語", "\U0001f600", "R&D", "&", "&-", "100%", "star*", `quote"`, "'single'", "hash#", "{brace}", "(paren)", "[x]",
	"semi;colon", "eq=uals", "plus+", "comma,", "a!b", "$HOME", "`tick`", "|pipe", "<lt>", "Entwürfe/Größe/2024", "a/b/c/d/e/f/g/h",
	"INBOX/Sub", "trailing space ", " leading space", "lower", "Lower", "-dash", "x:y", "Archive/cur-rent", "INBOX2", "dovecot", "dovecot-users",
	"lists/dovecot", "courier", "shared", "trash", "mailboxes", "new-mail", "tmp2", "subscriptions2", "DOVECOT-TRASHED", strings.Repeat("long", 45),
}

// testNames makes a mailbox of each name with a message in it.
func testNames(t *testing.T, b *bench) {
	var held []string
	for _, name := range goodNames {
		if why := b.limits.NameProblem(name); why != "" {
			t.Errorf("%q is refused: %s", name, why)
			continue
		}
		held = append(held, name)
		b.create(name, like())
		m := few(1)
		m[0].Content = []byte("Subject: of " + name + "\n\n" + name + "\n")
		b.add(name, m...)
	}
	b.reopen()
	infos, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	var listed []string
	for _, info := range infos {
		if info.Err != nil {
			t.Errorf("%q: %v", info.Name, info.Err)
		}
		if !info.NoSelect {
			listed = append(listed, info.Name)
		}
	}
	for _, name := range held {
		if !slices.Contains(listed, name) {
			t.Errorf("%q is not listed", name)
			continue
		}
		m := few(1)
		m[0].Content = []byte("Subject: of " + name + "\n\n" + name + "\n")
		sameMails(t, name, b.limits, b.box(name), m)
	}
	for _, name := range listed {
		if name != "INBOX" && !slices.Contains(held, name) {
			t.Errorf("%q is listed and nobody made it", name)
		}
	}
}

func testRefusedNames(t *testing.T, b *bench) {
	before, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	for _, name := range []string{
		"", "/", "a//b", "/a", "a/", ".", "..", "a/..", "../x", "a/../../x", "./a", "~", "~root/x", "nul\x00", "tab\tx", "lf\nx", "\x7f", "cur", "new/x", "a/tmp",
		"dbox-Mails", "a.b", ".hidden", "a/.b", strings.Repeat("ü", 120), strings.Repeat("x", 300), "u\u0308", "raw\xff", "inbox", "x.lock", ".imap/x", "dovecot.index",
		strings.Repeat("deep/", 300) + "x",
	} {
		why := b.limits.NameProblem(name)
		safe := b.limits.SafeName(name)
		if again := b.limits.SafeName(safe); again != safe || b.limits.NameProblem(safe) != "" {
			t.Errorf("SafeName(%.40q) is %.40q: %s; its own SafeName is %.40q", name, safe, b.limits.NameProblem(safe), again)
		}
		if why == "" && safe != name {
			t.Errorf("%.40q is no problem, yet SafeName makes it %.40q", name, safe)
		}
		err := b.store.Create(t.Context(), name, like())
		switch {
		case why == "" && err != nil:
			t.Errorf("%.40q is no problem, yet Create says %v", name, err)
		case why != "" && !errors.Is(err, formats.ErrBadName):
			t.Errorf("%.40q (%s): Create gives %v, want ErrBadName", name, why, err)
		case err == nil:
			b.ok("delete", b.store.Delete(t.Context(), name))
		}
	}
	after, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	for _, info := range after {
		if !slices.Contains(before, info) && !info.NoSelect {
			t.Errorf("%q was left behind", info.Name)
		}
	}
}

func testList(t *testing.T, b *bench) {
	for _, name := range []string{"b/c/d", "a!x", "a/z", "a/b"} {
		b.create(name, formats.Status{})
	}
	if _, err := b.store.Open(t.Context(), "INBOX"); errors.Is(err, formats.ErrNoMailbox) {
		b.create("INBOX", formats.Status{})
	}
	b.reopen()
	infos, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	var got []string
	for _, info := range infos {
		name := info.Name
		if info.NoSelect {
			name = "(" + name + ")"
		}
		got = append(got, name)
	}
	if want := "INBOX (a) a/b a/z a!x (b) (b/c) b/c/d"; strings.Join(got, " ") != want {
		t.Errorf("listed %s, want %s", strings.Join(got, " "), want)
	}
	if _, err := b.store.Open(t.Context(), "b"); !errors.Is(err, formats.ErrNoMailbox) {
		t.Errorf("a name that only has children: %v, want ErrNoMailbox", err)
	}
}

func testCreateTwice(t *testing.T, b *bench) {
	b.create("A/B", like())
	b.add("A/B", few(1)...)
	wantErr(t, "create again", b.store.Create(t.Context(), "A/B", formats.Status{}), formats.ErrExists)
	if got := b.uids("A/B"); got != "1" {
		t.Errorf("UIDs after that: %s", got)
	}
	_, err := b.store.Open(t.Context(), "A/C")
	wantErr(t, "open what is not there", err, formats.ErrNoMailbox)
	wantErr(t, "delete what is not there", b.store.Delete(t.Context(), "A/C"), formats.ErrNoMailbox)
	wantErr(t, "rename what is not there", b.store.Rename(t.Context(), "A/C", "A/D"), formats.ErrNoMailbox)
	if _, err := b.store.Open(t.Context(), "../A"); err == nil {
		t.Error("a name with .. was opened")
	}
}

// family makes a mailbox with children; a format that cannot have both gets a parent without messages.
func (b *bench) family() {
	b.t.Helper()
	guid := like()
	if !b.limits.NoChildren {
		b.create("Top", guid)
		b.add("Top", few(1, 2)...)
	}
	guid.GUID[15]++
	b.create("Top/Kid", guid)
	b.add("Top/Kid", few(3)...)
	guid.GUID[15]++
	b.create("Top/Kid2/Größe", guid)
	b.add("Top/Kid2/Größe", few(4)...)
	guid.GUID[15]++
	b.create("Topper", guid)
}

func (b *bench) wantFamily(top string) {
	b.t.Helper()
	if !b.limits.NoChildren {
		sameMails(b.t, top, b.limits, b.box(top), few(1, 2))
	}
	sameMails(b.t, "kid", b.limits, b.box(top+"/Kid"), few(3))
	sameMails(b.t, "grandchild", b.limits, b.box(top+"/Kid2/Größe"), few(4))
	if st := b.status(top + "/Kid"); st.UIDValidity != like().UIDValidity || st.UIDNext != 4 {
		b.t.Errorf("the kid's status: %+v", st)
	}
}

func testRename(t *testing.T, b *bench) {
	b.family()
	b.ok("rename", b.store.Rename(t.Context(), "Top", "New/Größe"))
	for range 2 {
		b.wantFamily("New/Größe")
		for _, gone := range []string{"Top", "Top/Kid", "Top/Kid2/Größe"} {
			_, err := b.store.Open(t.Context(), gone)
			wantErr(t, "the old name "+gone, err, formats.ErrNoMailbox)
		}
		b.box("Topper")
		b.reopen()
	}
	wantErr(t, "rename onto another", b.store.Rename(t.Context(), "New/Größe/Kid", "Topper"), formats.ErrExists)
	wantErr(t, "rename to a bad name", b.store.Rename(t.Context(), "Topper", "a//b"), formats.ErrBadName)
	if err := b.store.Rename(t.Context(), "New/Größe", "New/Größe/Below"); err == nil {
		t.Error("a mailbox was moved into itself")
	}
	b.wantFamily("New/Größe")
	b.ok("rename a leaf", b.store.Rename(t.Context(), "New/Größe/Kid2/Größe", "Leaf"))
	sameMails(t, "leaf", b.limits, b.box("Leaf"), few(4))
}

func testDelete(t *testing.T, b *bench) {
	b.family()
	if !b.limits.NoChildren {
		b.ok("delete", b.store.Delete(t.Context(), "Top"))
	}
	for range 2 {
		_, err := b.store.Open(t.Context(), "Top")
		wantErr(t, "deleted", err, formats.ErrNoMailbox)
		sameMails(t, "kid", b.limits, b.box("Top/Kid"), few(3))
		sameMails(t, "grandchild", b.limits, b.box("Top/Kid2/Größe"), few(4))
		b.reopen()
	}
	b.ok("delete", b.store.Delete(t.Context(), "Top/Kid"))
	b.ok("delete", b.store.Delete(t.Context(), "Top/Kid2/Größe"))
	infos, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	for _, info := range infos {
		if strings.HasPrefix(info.Name, "Top/") && !info.NoSelect {
			t.Errorf("%q is still there", info.Name)
		}
	}
}

// testDeletedWhileOpen deletes by another store, as another program would.
func testDeletedWhileOpen(t *testing.T, b *bench) {
	b.create("Box", formats.Status{})
	b.add("Box", few(1, 2)...)
	open := b.box("Box")
	_, err := open.Status(t.Context())
	b.ok("status", err)
	b.ok("delete", b.another(b.fs, false).Delete(t.Context(), "Box"))
	_, err = open.Status(t.Context())
	wantErr(t, "status after deletion", err, formats.ErrNoMailbox)
}

func testCreateAgain(t *testing.T, b *bench) {
	b.create("Box", formats.Status{})
	b.add("Box", few(1, 2)...)
	first := b.status("Box")
	b.ok("delete", b.store.Delete(t.Context(), "Box"))
	b.create("Box", formats.Status{})
	again := b.status("Box")
	if again.UIDValidity <= first.UIDValidity {
		t.Errorf("UIDVALIDITY was %d and is %d again", first.UIDValidity, again.UIDValidity)
	}
	if again.Messages != 0 || again.UIDNext != 1 || !again.GUID.IsZero() && again.GUID == first.GUID {
		t.Errorf("was %+v, made again %+v", first, again)
	}
	chosen := like()
	chosen.UIDValidity = again.UIDValidity + 1000
	b.create("Chosen", chosen)
	b.ok("delete", b.store.Delete(t.Context(), "Chosen"))
	b.reopen()
	b.create("Chosen", formats.Status{})
	if got := b.status("Chosen").UIDValidity; got <= chosen.UIDValidity {
		t.Errorf("UIDVALIDITY after one of %d was deleted: %d", chosen.UIDValidity, got)
	}
}
