package config

import "strings"

// show gives a value as it is printed: quoted if it must be, and without
// secrets unless they are wanted.
func show(key, value string, secrets bool) string {
	quote := needsQuotes(value)
	if !secrets {
		if value != "" && hiddenKey(key) {
			return "# hidden, use -P to show it"
		}
		if text, changed := hideSecrets(value); changed {
			if quote {
				text = escape(text)
			}
			return text
		}
	}
	if quote {
		return `"` + escape(value) + `"`
	}
	return value
}

func needsQuotes(v string) bool {
	return v != "" && (strings.Contains(v, "#") || strings.Trim(v, " \t") != v)
}

const hiddenWord = "#hidden_use-P_to_show#"

// secretWords start a name whose value is hidden: secret_api_key=x. They must
// not follow a letter or digit.
var secretWords = []string{"key", "secret", "pass"}

// secretURLs start an address whose user part is hidden.
var secretURLs = []string{"http://", "https://", "ftp://"}

// hideSecrets hides what Dovecot 2.3.19 hide_secrets_from_value hides.
func hideSecrets(value string) (text string, changed bool) {
	var out strings.Builder
	done := 0 // what is in out already
	for at := 0; ; {
		i, word := nextSecret(value[at:])
		if i < 0 {
			break
		}
		at += i
		changed = true
		if strings.Contains(word, "://") {
			at += len(word)
			end := userEnd(value, at)
			out.WriteString(value[done:at])
			if end > at && end < len(value) && value[end] == '@' {
				out.WriteString(hiddenWord)
			} else {
				out.WriteString(value[at:end])
			}
			at, done = end, end
			continue
		}
		if at > 0 && isWord(value[at-1]) {
			at++
			continue
		}
		at = nameEnd(value, at)
		out.WriteString(value[done:at])
		if at < len(value) && value[at] == '=' {
			out.WriteString("=" + hiddenWord)
			for at < len(value) && !isSpace(value[at]) && value[at] != ';' && value[at] != ':' {
				at++
			}
		}
		done = at
	}
	return out.String() + value[done:], changed
}

// userEnd finds where the user part of an address may end.
func userEnd(s string, at int) int {
	for at < len(s) && !isSpace(s[at]) && s[at] != '/' && s[at] != '@' {
		at++
	}
	return at
}

func nextSecret(s string) (at int, word string) {
	at = -1
	for _, list := range [][]string{secretWords, secretURLs} {
		for _, w := range list {
			if i := strings.Index(s, w); i >= 0 && (at < 0 || i < at) {
				at, word = i, w
			}
		}
	}
	return at, word
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// nameEnd finds the end of a name: its "=", or the first word after it.
func nameEnd(s string, at int) int {
	for at < len(s) && s[at] != '=' && !isSpace(s[at]) {
		at++
	}
	for at < len(s) && isSpace(s[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
