"""policy.explain() on each part of the language of rules, what people read of it, and what it is made of."""
import tap
from policy_domain import LATEST, OBJECT, Error, together


def helpers(state):
    globs = [("a", "a", True), ("a", "b", False), ("a", "aa", False), ("*", "", True), ("", "", True), ("", "a", False),
             ("vol-*", "vol-", True), ("vol-*", "vol-7", True), ("vol-*", "my-vol-7", False), ("*7", "vol-7", True),
             ("?", "é", True), ("?", "", False), ("??", "é", False), ("a*b*c", "a-b-b-c", True), ("a*b*c", "acb", False),
             ("50%", "50x", False), ("50%", "50%", True), ("a_c", "abc", False), ("a_c", "a_c", True),
             ("a\\b", "a\\b", True), ("\\*", "*", False), ("\\*", "\\x", True), ("A", "a", False), ("*?", "", False), ("[ab]", "a", False)]
    values = ", ".join("(E'%s', E'%s', %s)" % (p.replace("\\", "\\\\"), t.replace("\\", "\\\\"), w)
                       for p, t, w in globs)
    wrong = state.psql("SELECT p, t, w FROM (VALUES %s) AS v (p, t, w) WHERE policy.glob_matches(p, t) IS DISTINCT FROM w"
                       % values, role="holdfast_policy")
    tap.ok(wrong == [], "policy.glob_matches() knows * and ?, and nothing else", wrong)
    texts = '{"x-A": [null, {"type": "TextString", "value": "1"}, {"type": "ByteString", "value": "0a"}], ' \
            '"ObjectGroup": ["g", null]}'
    for call, want in (("has_attribute('%s', 'x-A', '1')" % texts, "t"),
                       ("has_attribute('%s', 'x-A', '0a')" % texts, "f"),
                       ("has_attribute('%s', 'x-B', '1')" % texts, "f"), ("has_attribute('{}', 'x-A', '1')", "f"),
                       ("has_group('%s', 'g')" % texts, "t"), ("has_group('%s', 'h')" % texts, "f"),
                       ("has_group('{}', 'g')", "f"), ("object_policy('{}')", "default"),
                       ("object_policy('{\"OperationPolicyName\": \"public\"}')", "public")):
        got = state.psql("SELECT policy.%s" % call, role="holdfast_policy")
        tap.ok(got == [[want]], "policy.%s is %s" % (call[-30:], want), got)


# ---- explain ----

HOUR = "interval '1 hour'"


def allow(more="", who="everyone", what="get"):
    return "allow('%s', '{%s}', 'r'%s)" % (who, what, more and ", " + more)


# (title, rules, client, operation, object, effect of the decision, which of the rules decides)
DECISIONS = [
    ("no rule: refused", [], "a", "get", 1, "deny", None),
    ("everyone", [allow()], "a", "get", 3, "allow", 0),
    ("the client", [allow(who="client api-a")], "a", "get", 3, "allow", 0),
    ("another client", [allow(who="client api-b")], "a", "get", 3, "deny", None),
    ("a group of it", [allow(who="group api-quiet")], "a", "get", 3, "allow", 0),
    ("a group it is not in", [allow(who="group api-holders")], "a", "get", 3, "deny", None),
    ("a role of it", [allow(who="role api-role")], "a", "get", 3, "allow", 0),
    ("a role of its group", [allow(who="role api-role")], "d", "get", 3, "allow", 0),
    ("a role of others", [allow(who="role api-role")], "b", "get", 3, "deny", None),
    ("the class", [allow(what="@read")], "a", "Get Attributes", 3, "allow", 0),
    ("another class", [allow(what="@change")], "a", "get", 3, "deny", None),
    ("all permissions", [allow(what="*")], "a", "GetAttributeList", 3, "allow", 0),
    ("another permission", [allow()], "a", "destroy", 3, "deny", None),
    ("owner self, its own", [allow("owner => 'self'")], "a", "get", 1, "allow", 0),
    ("owner self, of a mate", [allow("owner => 'self'")], "a", "get", 2, "deny", None),
    ("owner group, its own", [allow("owner => 'group'")], "a", "get", 1, "allow", 0),
    ("owner group, of a mate", [allow("owner => 'group'")], "a", "get", 2, "allow", 0),
    ("owner group, the group does not share", [allow("owner => 'group'")], "a", "get", 3, "deny", None),
    ("owner group, own without a group", [allow("owner => 'group'")], "c", "get", 3, "allow", 0),
    ("policy, the object's", [allow("policy => 'house'")], "a", "get", 2, "allow", 0),
    ("policy, the object has none", [allow("policy => 'house'")], "a", "get", 1, "deny", None),
    ("policy default, the object has none", [allow("policy => 'default'")], "a", "get", 1, "allow", 0),
    ("policy default, the object has one", [allow("policy => 'default'")], "a", "get", 2, "deny", None),
    ("object, this one", [allow("object => '%s'") % (OBJECT % 1)], "a", "get", 1, "allow", 0),
    ("object, another", [allow("object => '%s'") % (OBJECT % 1)], "a", "get", 2, "deny", None),
    ("object_type", [allow("object_type => 'PrivateKey'")], "a", "get", 2, "allow", 0),
    ("object_type, another", [allow("object_type => 'PrivateKey'")], "a", "get", 1, "deny", None),
    ("object_group, one of two", [allow("object_group => 'two'")], "a", "get", 1, "allow", 0),
    ("object_group, another", [allow("object_group => 'three'")], "a", "get", 1, "deny", None),
    ("object_group, the object has none", [allow("object_group => 'two'")], "a", "get", 2, "deny", None),
    ("name_pattern", [allow("name_pattern => 'vol-?7'")], "a", "get", 1, "allow", 0),
    ("name_pattern, the second name", [allow("name_pattern => '50%_*'")], "a", "get", 1, "allow", 0),
    ("name_pattern, a name it no longer has", [allow("name_pattern => 'gone'")], "a", "get", 1, "deny", None),
    ("name_pattern, the object has no name", [allow("name_pattern => '*'")], "a", "get", 2, "deny", None),
    ("custom attribute", [allow("attribute_name => 'x-Rack', attribute_value => '7'")], "a", "get", 1, "allow", 0),
    ("custom attribute, another value", [allow("attribute_name => 'x-Rack', attribute_value => '8'")],
     "a", "get", 1, "deny", None),
    ("vendor attribute", [allow("attribute_name => 'acme:Site', attribute_value => '7'")], "a", "get", 1, "allow", 0),
    ("all selectors but one", [allow("owner => 'self', object_type => '2', name_pattern => 'x'")],
     "a", "get", 1, "deny", None),
    ("within its time", [allow("valid_from => now() - %s, valid_until => now() + %s") % (HOUR, HOUR)],
     "a", "get", 1, "allow", 0),
    ("past", [allow("valid_until => now() - %s") % HOUR], "a", "get", 1, "deny", None),
    ("to come", [allow("valid_from => now() + %s") % HOUR], "a", "get", 1, "deny", None),
    ("from this very instant", [allow("valid_from => now()")], "a", "get", 1, "allow", 0),
    ("up to this very instant", [allow("valid_until => now()")], "a", "get", 1, "deny", None),
    ("deny alone", ["deny('everyone', '{get}', 'r')"], "a", "get", 1, "deny", 0),
    ("deny wins over an earlier allow", [allow(), "deny('everyone', '{get}', 'r')"], "a", "get", 1, "deny", 1),
    ("a deny that does not match", ["deny('everyone', '{get}', 'r', object_type => '4')", allow()],
     "a", "get", 1, "allow", 1),
    ("approval wins over allow", [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r')"],
     "a", "destroy", 1, "approval", 1),
    ("of two approvals the one that wants more",
     [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r', approvals => 1)",
      "require_approval('everyone', '{destroy}', 'r', approvals => 3)",
      "require_approval('everyone', '{destroy}', 'r', approvals => 2)"], "a", "destroy", 1, "approval", 2),
    ("of two approvals that want alike the first",
     [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r', approvals => 2)",
      "require_approval('everyone', '{destroy}', 'r', approvals => 2)"], "a", "destroy", 1, "approval", 1),
    ("an approval that wants more, of another type",
     [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r', object_type => '4', approvals => 3)",
      "require_approval('everyone', '{destroy}', 'r')"], "a", "destroy", 1, "approval", 2),
    ("without the object: an approval may want more",
     [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r', object_type => '4', approvals => 3)",
      "require_approval('everyone', '{destroy}', 'r')"], "a", "destroy", None, "", None),
    ("without the object: an approval that wants no more does not matter",
     [allow(what="destroy"), "require_approval('everyone', '{destroy}', 'r', approvals => 2)",
      "require_approval('everyone', '{destroy}', 'r', object_type => '4')"], "a", "destroy", None, "approval", 1),
    ("an approval alone permits nothing", ["require_approval('everyone', '{destroy}', 'r')"], "a", "destroy", 1, "deny",
     None),
    ("an approval holds back only what is allowed",
     ["require_approval('everyone', '{destroy}', 'r')", allow("object_type => '4'", what="destroy")],
     "a", "destroy", 1, "deny", None),
    ("an approval that does not match", ["require_approval('everyone', '{destroy}', 'r', object_type => '4')",
                                         allow(what="destroy")], "a", "destroy", 1, "allow", 1),
    ("deny wins over approval", ["require_approval('everyone', '{destroy}', 'r')",
                                 "deny('everyone', '{destroy}', 'r')"],
     "a", "destroy", 1, "deny", 1),
    ("of two alike the first", [allow(), allow(who="client api-a")], "a", "get", 1, "allow", 0),
    ("what is made is the maker's", [allow("owner => 'self'", what="create")], "a", "Create", None, "allow", 0),
    ("what is made is none that is there", [allow("object => '%s'", what="create") % (OBJECT % 1)],
     "a", "create", 1, "deny", None),
    ("made like another one", [allow("owner => 'self', object_type => '4'", what="create")], "a", "create", 2, "allow",
     0),
    ("no object at all", [allow("owner => 'self'", what="query")], "a", "query", None, "allow", 0),
    ("no object at all has no name", [allow("name_pattern => '*'", what="*")], "a", "query", None, "deny", None),
    ("without the object: nothing permits it", [], "a", "get", None, "deny", None),
    ("without the object: certain", [allow()], "a", "get", None, "allow", 0),
    ("without the object: it depends", [allow("owner => 'self'")], "a", "get", None, "", None),
    ("without the object: a deny may come first", ["deny('everyone', '{get}', 'r', object_type => '4')",
                                                   allow()], "a", "get", None, "", None),
    ("without the object: a later rule does not matter", [allow("object_type => '4'"),
                                                          "deny('everyone', '{get}', 'r')"], "a", "get", None, "deny",
                                                          1),
    ("without the object: an approval may hold it back",
     ["require_approval('everyone', '{destroy}', 'r', object_type => '4')", allow(what="destroy")],
     "a", "destroy", None, "", None),
    ("without the object: an approval holds back what may be allowed",
     ["require_approval('everyone', '{destroy}', 'r')", allow("owner => 'self'", what="destroy")],
     "a", "destroy", None, "", None),
    ("without the object: both may match", ["require_approval('everyone', '{destroy}', 'r', object_type => '4')",
                                            allow("owner => 'self'", what="destroy")],
     "a", "destroy", None, "", None),
    ("without the object: nothing is there to hold back",
     ["require_approval('everyone', '{destroy}', 'r', object_type => '4')"], "a", "destroy", None, "deny", None),
    ("without the object: certain to wait", ["require_approval('everyone', '{destroy}', 'r')", allow(what="destroy")],
     "a", "destroy", None, "approval", 0),
    ("an object of another domain", [allow(what="*")], "a", "get", 4, "deny", None),
    ("an object that is not there", [allow(what="*")], "a", "get", 99, "deny", None),
]


def explain_call(client, operation, number):
    return "SELECT * FROM policy.explain('api-%s', '%s'%s);" % (client, operation, number
                                                                and ", '%s'" % (OBJECT % number) or "")


def decisions(state):
    parts = []
    for _, rules, who, operation, number, _, _ in DECISIONS:
        adds = "".join("SELECT policy.%s, domain => 'api');\n" % rule[:-1] for rule in rules)
        parts.append(adds + explain_call(who, operation, number) + "\nROLLBACK TO part;\nSAVEPOINT part;")
    for (title, rules, who, _, _, effect, decides), answer in zip(DECISIONS, together(state, parts)):
        numbers = [] if isinstance(answer, Error) else [r[0] for r in answer if len(r) == 1]
        rows = [] if isinstance(answer, Error) else [r for r in answer if len(r) == 7]
        want = numbers[decides] if decides is not None and len(numbers) == len(rules) else ""
        good = len(numbers) == len(rules) and rows and rows[-1][:3] == [want, effect, "client api-" + who]
        good = good and [r[0] for r in rows[:-1] if r[5] == "t"] == ([want] if want else [])
        tap.ok(good and rows[-1][5] == ("t" if effect else "f"), "explain, %s: %s" % (title, effect or "depends"),
               answer)


def readings(state):
    """What people read, and that no more of an object is told than what the rules make of it."""
    rules = ("SELECT policy.deny('everyone', '{destroy}', 'r', 'api', name_pattern => 'tape-*', valid_until => now() + %s);"
             "SELECT policy.require_approval('everyone', '{destroy}', 'r', 'api', owner => 'self', approvals => 2);"
             "SELECT policy.allow('client api-a', '{destroy}', 'r');"
             "SELECT policy.allow('client api-b', '{destroy}', 'r');" % HOUR)
    asked = together(state, [rules, explain_call("a", "Destroy", 1), LATEST, explain_call("a", "destroy", 4), LATEST,
                             explain_call("a", "destroy", 99), explain_call("a", "destroy", None)])
    deny, approval, allow, _ = [r[0] for r in asked[0]]
    want = [[deny, "deny", "everyone", "owner any, name tape-*", "f", "f", 'no name of the object matches "tape-*"'],
            [approval, "approval", "everyone", "owner self", "t", "t", "all of its conditions hold"],
            [allow, "allow", "client api-a", "owner any", "t", "f",
             "would match, but rule %s comes before it" % approval],
            [approval, "approval", "client api-a", "", "", "t",
             "destroy: waits until 2 administrators have approved it: rule " + approval]]
    tap.ok(asked[1] == want, "explain shows each rule for the client in order, and the decision in words", asked[1])
    tap.ok(asked[2][-1] == ["holdfast_policy (alice@host)", "Admin Explain", "client=api-a operation=destroy",
                            OBJECT % 1],
           "who asked for an explanation of what is audited", asked[2])
    tap.ok(len(asked[3]) == 1 and asked[3] == asked[5], "an object of another domain reads as one that is not there",
           asked[3:6:2])
    tap.ok("refused: there is no such object in the client's domain \"api\"" in asked[3][0][6], "and says so", asked[3])
    tap.ok(asked[4][-1][1:3] == ["Admin Explain", "client=api-a operation=destroy"], "that is audited, too", asked[4])
    tap.ok(asked[6][-1][6]
           == "destroy: depends on the object: refused if rule %s matches, waits for approval if rule %s "
           "matches, else allowed by rule %s" % (deny, approval, allow),
           "without an object it says on what it depends", asked[6])
    held(state)
    off = ["RESET SESSION AUTHORIZATION; UPDATE policy.%s; SET SESSION AUTHORIZATION holdfast_policy;" % what
           for what in ("client SET enabled = false WHERE name = 'api-a'",
                        "domain SET enabled = false WHERE name = 'api'")]
    allow = "SELECT policy.allow('everyone', '{*}', 'r', 'api');"
    for text, want in zip(off, ("the client is disabled", 'the domain "api" is disabled')):
        row = together(state, [allow + text, explain_call("a", "get", 1)])[1][-1]
        tap.ok(row[1] == "deny" and want in row[6], "explain tells that %s" % want, row)


def held(state):
    """What is said of approvals where nothing, or perhaps nothing, is allowed."""
    approval = "SELECT policy.require_approval('everyone', '{destroy}', 'r', 'api'%s);"
    allow = "SELECT policy.allow('everyone', '{destroy}', 'r', 'api', owner => 'self');"
    told = []
    for rules, number in ((approval % "", 1), (approval % "" + allow, None),
                          (approval % ", object_type => '4'" + allow, None)):
        numbers, rows = together(state, [rules, explain_call("a", "destroy", number)])
        told.append((["", *[r[0] for r in numbers]], rows))
    (n, rows), _, _ = told
    tap.ok(rows == [[n[1], "approval", "everyone", "owner any", "t", "f",
                     "all of its conditions hold, but it only holds back what one permits"],
                    ["", "deny", "client api-a", "", "", "t", "destroy: refused: no rule permits it, and rule %s only "
                     "holds back what one permits (the client is told that there is no such object)" % n[1]]],
           "an approval alone is refused, and explain says why", rows)
    for (n, rows), want in zip(told[1:], ("waits for approval if rule %s matches" % told[1][0][2],
                                          "allowed if rule %s matches (waits for approval if rule %s matches, too)"
                                          % (told[2][0][2], told[2][0][1]))):
        tap.ok(rows[-1][6] == "destroy: depends on the object: %s, else refused: no rule permits it (the client is told "
               "that there is no such object)" % want, "without the object: %s" % want, rows)


def run(state):
    helpers(state)
    decisions(state)
    readings(state)
