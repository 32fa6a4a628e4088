package imap

import (
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/sync/watch"
)

// refusedKeywords tells what is wrong with keywords that a message is to get. One that the mailbox has already may be
// whatever it is (Dovecot 2.3.19, src/lib-storage/mail-storage.c, mailbox_keyword_is_valid).
func (s *session) refusedKeywords(box *watch.Box, keywords []string) *answer {
	var has []string
	for _, k := range keywords {
		problem := s.keywordProblem(k)
		if problem == "" {
			continue
		}
		if has == nil {
			has = keywordsOf(box.Mailbox, box.Snapshot())
		}
		if !formats.HasKeyword(has, k) {
			a := no("[CANNOT]", problem)
			return &a
		}
	}
	return nil
}

// keywordProblem: a keyword is an atom of limited length (RFC 3501 section 9, mail_max_keyword_length).
func (s *session) keywordProblem(keyword string) string {
	switch {
	case strings.ContainsFunc(keyword, func(r rune) bool { return r >= 0x80 }):
		return "8bit characters in keyword"
	case strings.ContainsFunc(keyword, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`(){%*"\]`, r) }):
		return "Invalid characters in keyword"
	case len(keyword) > s.o.maxKeyword:
		return "Keyword length too long"
	}
	return ""
}

// keywordsOf are those of a mailbox's list, if it has one, and of its messages.
func keywordsOf(m formats.Mailbox, v *watch.Snapshot) []string {
	var listed []string
	if list, ok := m.(formats.KeywordLister); ok {
		listed = list.Keywords()
	}
	return formats.AddKeywords(listed, v.KeywordsInUse())
}

// spoken are the keywords that clients are told of. One that could not stand in a list of flags got into the mailbox's files
// by another way than this.
func spoken(keywords []string) []string {
	broken := func(k string) bool {
		return k == "" || strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`(){"`, r) })
	}
	if !slices.ContainsFunc(keywords, broken) {
		return keywords
	}
	return slices.DeleteFunc(slices.Clone(keywords), broken)
}

// newKeywords tells whether there are keywords that the client does not know of.
func (sel *selected) newKeywords() bool {
	now := keywordsOf(sel.box.Mailbox, sel.view)
	return len(formats.AddKeywords(sel.keywords, now)) > len(sel.keywords)
}
