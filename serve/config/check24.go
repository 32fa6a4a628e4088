package config

// check24 adds what is wrong with a configuration of 2.4 as a whole. Texts are
// those of the settings checks of 2.4.4.
func (c *Config) check24(problems *Problems) {
	if problems.Fatal() != nil {
		return
	}
	top := c.root24
	if v := top.set["mail_vsize_bg_after_count"]; v != nil && v.Text == "0" {
		c.failed24(problems, v, "mail_vsize_bg_after_count must not be 0")
	}
	if v := top.set["ssl_min_protocol"]; v != nil && v.Text == "ANY" {
		text := "ssl_min_protocol=ANY is used - This is insecure and intended only for testing"
		problems.add(&Problem{Severity: Warning, Pos: v.Pos, Text: text, Line: text, level: "Warning"})
	}
	if policy := top.find("auth_policy", "", Filter{}); policy != nil {
		url, nonce := policy.set["auth_policy_server_url"], policy.set["auth_policy_hash_nonce"]
		if url != nil && url.Text != "" && (nonce == nil || nonce.Text == "") {
			c.failed24(problems, url, "auth_policy_hash_nonce must be set when policy server is used")
		}
	}
}

func (c *Config) failed24(problems *Problems, v *Value, text string) {
	problems.add(&Problem{Severity: Failed, Pos: v.Pos, Text: text, level: "Fatal", global: true,
		Line: "Error in configuration file " + c.Path + ": " + text})
}
