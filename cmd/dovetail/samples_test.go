package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/samples"
)

// TestSamplesComeOutAsDovecotShowsThem reads every sample with the verbs and compares with its expect.json, which real
// Dovecot made. What is damaged must be told, and the rest must come out.
func TestSamplesComeOutAsDovecotShowsThem(t *testing.T) {
	for _, name := range samples.Names(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, want := samples.Load(t, name)
			checkSample(t, want)
		})
	}
}

func checkSample(t *testing.T, want samples.Expect) {
	damaged := map[string][]formats.UID{}
	for _, m := range want.Mailboxes {
		if len(m.Damaged) > 0 {
			damaged[m.Mailbox] = m.Damaged
		}
	}
	var stdout, stderr bytes.Buffer
	code := run([]string{"fetch", "--json", "--location", locationOf(want)}, &stdout, &stderr)
	if wantCode := codeFor(len(damaged) > 0); code != wantCode {
		t.Errorf("fetch: exit code %d, want %d; stderr:\n%s", code, wantCode, stderr.String())
	}
	got, gotDamaged := byMailbox(t, stdout.Bytes())
	for _, box := range want.Mailboxes {
		compareMessages(t, box.Mailbox, got[box.Mailbox], box.Messages, want.Unsure)
		delete(got, box.Mailbox)
	}
	if len(got) > 0 {
		t.Errorf("mailboxes that should not be there: %q", slices.Sorted(maps.Keys(got)))
	}
	if fmt.Sprint(gotDamaged) != fmt.Sprint(damaged) {
		t.Errorf("damaged: got %v, want %v", gotDamaged, damaged)
	}
	compareStatus(t, want)
}

// locationOf adds what Dovecot is told by a setting and we in the location.
func locationOf(want samples.Expect) string {
	for _, line := range want.Settings {
		if name, dir, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "mail_attachment_dir" {
			return want.Location + ":ATTACHMENTS=" + strings.TrimSpace(dir)
		}
	}
	return want.Location
}

func codeFor(damage bool) int {
	if damage {
		return exitLeftOver
	}
	return exitDone
}

// byMailbox sorts the lines of fetch --json into mailboxes: messages as maps of their fields, and damaged UIDs.
func byMailbox(t *testing.T, out []byte) (map[string][]map[string]any, map[string][]formats.UID) {
	messages, damaged := map[string][]map[string]any{}, map[string][]formats.UID{}
	lines := json.NewDecoder(bytes.NewReader(out))
	for {
		var m map[string]any
		if err := lines.Decode(&m); err == io.EOF {
			return messages, damaged
		} else if err != nil {
			t.Fatal(err)
		}
		box := m["mailbox"].(string)
		if m["err"] != nil {
			damaged[box] = append(damaged[box], formats.UID(m["uid"].(float64)))
			continue
		}
		messages[box] = append(messages[box], m)
	}
}

func compareMessages(t *testing.T, box string, got []map[string]any, want []samples.Message, unsure []string) {
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", box, len(got), len(want))
		return
	}
	for i, m := range want {
		m.Text = ""
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		for name, value := range fields {
			have := got[i][name]
			if name == "keywords" || name == "flags" {
				value, have = sorted(value), sorted(have)
			}
			if !slices.Contains(unsure, name) && fmt.Sprint(have) != fmt.Sprint(value) {
				t.Errorf("%s uid %d: %s is %v, want %v", box, m.UID, name, have, value)
			}
		}
	}
}

func sorted(list any) any {
	words := strings.Fields(strings.Trim(fmt.Sprint(list), "[]"))
	slices.Sort(words)
	return words
}

func compareStatus(t *testing.T, want samples.Expect) {
	var stdout, stderr bytes.Buffer
	run([]string{"mailbox", "status", "--json", "--location", locationOf(want)}, &stdout, &stderr)
	got := map[string]map[string]any{}
	lines := json.NewDecoder(&stdout)
	for lines.More() {
		var m map[string]any
		if err := lines.Decode(&m); err != nil {
			t.Fatal(err)
		}
		got[m["mailbox"].(string)] = m
	}
	for _, box := range want.Mailboxes {
		if box.NoSelect || box.Mailbox == "INBOX" && len(box.Messages) == 0 && got["INBOX"] == nil {
			continue // Dovecot makes an inbox when it is asked about it
		}
		for name, value := range map[string]any{
			"guid": box.GUID, "uidvalidity": box.UIDValidity, "uidnext": box.UIDNext, "highestmodseq": box.HighestModSeq,
			"subscribed": slices.Contains(want.Subscribed, box.Mailbox),
		} {
			have := got[box.Mailbox][name]
			if f, ok := have.(float64); ok {
				have = uint64(f)
			}
			unsaid := fmt.Sprint(value) == "" || fmt.Sprint(value) == "0"
			if !unsaid && !slices.Contains(want.Unsure, name) && fmt.Sprint(have) != fmt.Sprint(value) {
				t.Errorf("%s: %s is %v, want %v", box.Mailbox, name, have, value)
			}
		}
	}
}
