/*
 * The one table of commands. Help, completion and the check of the man page come from here; a new command is
 * one entry here and one function.
 */
#include "config.h"

#include "server/admin/cli.h"

#define O(id)      ((option_set)1 << OPT_##id)
#define LOCAL      (O(HELP) | O(CONFIG))
#define LOCAL_JSON (LOCAL | O(JSON))
#define KMIP                                                                                                   \
    (O(HELP) | O(JSON) | O(HOST) | O(PORT) | O(CERT) | O(KEY) | O(CA) | O(PROTOCOL) | O(TIMEOUT))
#define RULE                                                                                                   \
    (O(DATABASE) | O(WHY) | O(RULE_DOMAIN) | O(RULE_POLICY) | O(RULE_OWNER) | O(RULE_OBJECT) |         \
     O(RULE_TYPE) | O(RULE_GROUP) | O(RULE_NAME) | O(RULE_ATTRIBUTE) | O(RULE_FROM) | O(RULE_UNTIL))

_Static_assert(OPT_COUNT <= 128, "an option set has 128 bits");

/* clang-format off */
const struct command commands[] = {
    { "key create", "", 0, 0, KMIP | O(NAME) | O(ALGORITHM) | O(LENGTH) | O(USAGE) | O(GROUP) | O(ACTIVATE),
      "make a new symmetric key in the server",
      "The key is generated in the server's vault and does not leave it. Prints the key's identifier. A key must be\n"
      "activated before it may protect data: give --activate, or use 'holdfast key activate' later. Without\n"
      "options it is an AES key of 256 bits for Encrypt and Decrypt.",
      cmd_key_create },
    { "key create-pair", "", 0, 0, KMIP | O(NAME) | O(ALGORITHM) | O(LENGTH) | O(USAGE) | O(GROUP) | O(ACTIVATE),
      "make a new key pair in the server",
      "RSA, or ECDSA, ECDH or EC on the NIST curve of the given length; without options RSA of 3072 bits for Sign.\n"
      "Prints both identifiers. --name and --usage are the private key's; the public one is named NAME.pub and gets the\n"
      "use that goes with it. A long RSA key takes minutes to find: the command waits for ten of them unless --timeout\n"
      "says something else.",
      cmd_key_create_pair },
    { "key register", "", 0, 0, KMIP | O(NAME) | O(TYPE) | O(ALGORITHM) | O(LENGTH) | O(USAGE) | O(GROUP) | O(IN) | O(ACTIVATE),
      "hand an existing key or secret to the server",
      "Reads the raw bytes from --in. Prints the identifier. Without options they are an AES key for Encrypt and\n"
      "Decrypt; the length of a symmetric key is that of the file. PEM is taken for what it is, a private key, a public\n"
      "key or a certificate; so is DER with --type PrivateKey (PKCS#8), PublicKey (SubjectPublicKeyInfo) or Certificate.",
      cmd_key_register },
    { "key get", "ID", 1, 1, KMIP | O(OUT) | O(STDOUT) | O(FORMAT) | O(PEM),
      "fetch a key's bytes",
      "Writes the raw bytes to the file of --out, which is made with mode 0600 and replaced whole. Key bytes go to\n"
      "standard output only where --stdout asks for it. With neither, only what the key is gets printed.",
      cmd_key_get },
    { "key locate", "", 0, 0, KMIP | O(NAME) | O(TYPE) | O(ALGORITHM) | O(LENGTH) | O(GROUP) | O(STATE) | O(MAX) | O(OFFSET),
      "find keys by name and other attributes",
      "Prints the identifiers of your objects that match all of the given filters, one a line. None found is no error.",
      cmd_key_locate },
    { "key activate", "ID", 1, 1, KMIP,
      "let a key protect data from now on",
      "The key must be Pre-Active.",
      cmd_key_activate },
    { "key revoke", "ID", 1, 1, KMIP | O(REASON) | O(MESSAGE) | O(OCCURRED),
      "withdraw a key",
      "The key becomes Deactivated, or Compromised with the reason KeyCompromise or CACompromise. It never becomes\n"
      "Active again. It can still be fetched to read old data, until it is destroyed.",
      cmd_key_revoke },
    { "key destroy", "ID", 1, 1, KMIP,
      "destroy a key for good",
      "The material is overwritten; nobody gets it again. An Active key must be revoked first.",
      cmd_key_destroy },
    { "key attributes", "ID", 1, 1, KMIP,
      "show what is known of a key",
      "Prints each attribute; never key bytes.",
      cmd_key_attributes },
    { "key set-attribute", "ID ATTRIBUTE VALUE", 3, 3, KMIP,
      "give a key's attribute this value",
      "Whether it had one or not; not where it has several. The value is written as 'key attributes --json' prints it:\n"
      "holdfast key set-attribute ID DeactivationDate 2030-01-01T00:00:00Z",
      cmd_key_set_attribute },
    { "key add-attribute", "ID ATTRIBUTE VALUE", 3, 3, KMIP,
      "add an attribute to a key",
      "A further one where an attribute may have several: holdfast key add-attribute ID ObjectGroup backup",
      cmd_key_add_attribute },
    { "key modify-attribute", "ID ATTRIBUTE VALUE", 3, 3, KMIP | O(INDEX),
      "change an attribute that a key has",
      "Renames a key: holdfast key modify-attribute ID Name volume-13",
      cmd_key_modify_attribute },
    { "key delete-attribute", "ID ATTRIBUTE", 2, 2, KMIP | O(INDEX),
      "take an attribute from a key",
      "All of its values, or with KMIP 1.x the one of --index.",
      cmd_key_delete_attribute },

    { "status", "", 0, 0, LOCAL_JSON,
      "say how the server on this machine is",
      "Asks the running server through its control socket: the processes, the vault and its TPM, the database, the\n"
      "server's certificate. Where something is wrong it says what to do. Exit code 0 only if keys are served.",
      cmd_status },
    { "trace", "[CLIENT]", 0, 1, LOCAL_JSON | O(FOR) | O(COUNT_BLOCKS) | O(ADDRESS),
      "show a client's requests and answers as they come",
      "From all workers of this node, until interrupted: each message by its fields, why it failed, and connections that\n"
      "never became a request. CLIENT is its name, a name of its certificate, or '*' for all. Key material, passwords,\n"
      "data, initialization vectors and texts of the client's own are never shown, only their lengths. With --json each\n"
      "message is one line. The audit tells who watched whom.",
      cmd_trace },
    { "init", "", 0, 0, LOCAL_JSON | O(SELF_APPROVE) | O(REQUEST) | O(RESPONSE) | O(PROOF) | O(AUTH) | O(ESCROW) | O(PCRS) | O(NV_INDEX) |
      O(REPLACE),
      "make the root of all keys in this machine's TPM",
      "Once for each cluster, with the server stopped. With --self-approve the approval and recovery keys are made\n"
      "here, in STATE_DIR/secret, readable by root only: right for a trial, and for one machine whose root you\n"
      "trust; move the files to offline media afterwards. With offline keys instead:\n"
      "  1. holdfast init --auth AUTH.pub --request FILE                       writes a request\n"
      "  2. holdfast approval sign --request FILE --key AUTH.pem --recovery REC.pub --out FILE2\n"
      "                                                                        signs it, on the offline machine\n"
      "  3. holdfast init --response FILE2 --escrow FILE3                      makes root and escrow\n"
      "  4. holdfast recovery check --escrow FILE3 --recovery REC.pem --out FILE4\n"
      "                                                                        opens the escrow once, offline\n"
      "  5. holdfast init --proof FILE4                                        lets the vault serve\n"
      "Both keys are EC keys on P-256: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256\n"
      "Keep the escrow: without it and the recovery key a dead mainboard takes all keys along.",
      cmd_init },
    { "approval sign", "", 0, 0, O(HELP) | O(JSON) | O(REQUEST) | O(APPROVAL_KEY) | O(RECOVERY) | O(OUT),
      "sign a request with the approval key, offline",
      "Needs neither server, database nor TPM. Shows what is approved: the node, its boot state, the target of the\n"
      "escrow. Compare it with what the node's administrator reads out to you.",
      cmd_approval_sign },
    { "approval request", "", 0, 0, LOCAL_JSON | O(OUT) | O(PCRS),
      "ask for the approval of a changed boot state",
      "When 'holdfast status' says locked and you know why the boot state changed. With the server stopped.",
      cmd_approval_request },
    { "approval accept", "", 0, 0, LOCAL_JSON | O(RESPONSE),
      "take the approval of a changed boot state",
      "Checks what 'holdfast approval sign' made and stores it.",
      cmd_approval_accept },
    { "recovery check", "", 0, 0, O(HELP) | O(JSON) | O(ESCROW) | O(RECOVERY) | O(OUT),
      "check that the escrow opens with the recovery key, offline",
      "Worth doing once a year. The proof of --out is what 'holdfast init --proof' takes.",
      cmd_recovery_check },
    { "recovery restore", "", 0, 0, LOCAL_JSON | O(ESCROW) | O(RECOVERY) | O(AUTH) | O(REQUEST) | O(RESPONSE) | O(PCRS) |
      O(NV_INDEX) | O(REPLACE),
      "bring the root of all keys onto another TPM",
      "When the TPM is lost: on the new machine, with the server stopped, the same database, the escrow and the\n"
      "recovery key. With the private approval key (--auth) in one step; else --request, 'holdfast approval sign' and\n"
      "--response. Files not named are taken from STATE_DIR/secret. The old keys are served under the new TPM.",
      cmd_recovery_restore },

    { "config show", "", 0, 0, LOCAL_JSON,
      "print each setting, its value and what it means",
      "Defaults included.",
      cmd_config_show },
    { "config check", "", 0, 0, LOCAL_JSON,
      "check the configuration file",
      "Reads it as the server would; says the line of each mistake.",
      cmd_config_check },
    { "db migrate", "", 0, 0, LOCAL_JSON | O(DATABASE),
      "bring the database to this version's schema",
      "Makes roles, schemas and tables that are missing. Safe to run again; needs a role that may create them.",
      cmd_db_migrate },
    { "ca init", "", 0, 0, LOCAL_JSON | O(SUBJECT) | O(DAYS),
      "make the certificate authority for clients and servers",
      "Its private key lies in STATE_DIR/ca, readable by root only. Refused where there is one.",
      cmd_ca_init },
    { "server-cert renew", "", 0, 0, LOCAL_JSON | O(DNS) | O(DAYS),
      "issue a new server certificate and load it",
      "A running server takes it up without dropping a connection.",
      cmd_server_cert_renew },
    { "client add", "NAME", 1, 1, LOCAL_JSON | O(CSR) | O(DIRECTORY) | O(RENEW) | O(DAYS) | O(DOMAIN) | O(WHY),
      "enrol a client and issue its certificate",
      "With --out a private key is made here; with --csr the client's own request is signed and the certificate\n"
      "printed. The client's objects belong to NAME, whatever certificate it holds later. It stays in its domain.",
      cmd_client_add },
    { "client doctor", "CERT", 1, 1, LOCAL_JSON | O(DATABASE) | O(CHAIN) | O(DOCTOR_KEY),
      "say what is wrong with a client's certificate",
      "Looks at it as this server would: the file, its time, key and signature, its purpose, its issuer and chain against\n"
      "[tls] client_ca, the CRL, its names, the client and the domain that policy has for them. Each finding comes with\n"
      "what to do next. Exit code 0 only if the client would be let in.",
      cmd_client_doctor },
    { "client list", "", 0, 0, LOCAL_JSON,
      "list clients and their certificates",
      "",
      cmd_client_list },
    { "client revoke", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "shut a client out and revoke its certificates",
      "Holds for new connections at once and for open ones within a minute. Its objects stay.",
      cmd_client_revoke },
    { "client password", "NAME", 1, 1, LOCAL_JSON | O(DATABASE) | O(USER) | O(PASSWORD_FILE) | O(WHY),
      "register a user name and password that a client brings",
      "As a second factor beside its certificate, in KMIP's Credential of the type Username and Password. The password is\n"
      "asked for, or read from --password-file; it is kept as a hash (scrypt). A user name has one password: another one\n"
      "takes its place at the client's next request. Registered factors that a client brings must be right, and one must\n"
      "be brought once 'holdfast client set NAME --second-factor yes' says so.",
      cmd_client_password },
    { "client device", "NAME", 1, 1, LOCAL_JSON | O(DATABASE) | O(DEVICE_SERIAL) | O(DEVICE_ID) | O(DEVICE_NETWORK) | O(DEVICE_MACHINE) |
      O(DEVICE_MEDIA) | O(PASSWORD_FILE) | O(WHY),
      "register a device that a client brings",
      "As a second factor, in KMIP's Credential of the type Device (since KMIP 1.1). What is given here the client must\n"
      "bring; what else it brings does not matter. With --password-file the device has a password, too.",
      cmd_client_device },
    { "client factors", "[NAME]", 0, 1, LOCAL_JSON | O(DATABASE),
      "list second factors",
      "Those of one client, or of all. Never a hash.",
      cmd_client_factors },
    { "client factor-remove", "FACTOR", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "remove a second factor",
      "By its number in 'holdfast client factors'. Holds from the client's next request on.",
      cmd_client_factor_remove },
    { "client set", "NAME", 1, 1, LOCAL_JSON | O(SECOND_FACTOR) | O(LEGACY_TLS) | O(QUIRKS) | O(WHY),
      "set what holds for one client",
      "What is not named stays as it is. Holds from its next request on.",
      cmd_client_set },
    { "client enable", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "let a client work again",
      "A client that was revoked also needs a new certificate: 'holdfast client add NAME --renew'.",
      cmd_client_enable },
    { "client disable", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "shut a client out, its certificates stay",
      "Nothing is answered to it from its next request on. Its objects stay.",
      cmd_client_disable },
    { "domain add", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "add a domain, a tenant with a key of its own",
      "Nothing crosses domains: not for clients, nor by groups or rules. The running server makes the key; where it\n"
      "cannot just now the domain waits for it, and the command may be repeated.",
      cmd_domain_add },
    { "domain list", "", 0, 0, LOCAL_JSON,
      "list domains and their limits",
      "",
      cmd_domain_list },
    { "domain limits", "NAME", 1, 1, LOCAL_JSON | O(MAX_CLIENTS) | O(MAX_OBJECTS) | O(WHY),
      "set how many clients and objects a domain may have",
      "What is there stays, also beyond the limit.",
      cmd_domain_limits },
    { "domain enable", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "let the clients of a domain work again",
      "",
      cmd_domain_enable },
    { "domain disable", "NAME", 1, 1, LOCAL_JSON | O(WHY),
      "shut all clients of a domain out",
      "Nothing is answered to them from their next request on. Their objects stay.",
      cmd_domain_disable },
    { "group add", "NAME", 1, 1, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "add a group of clients that share objects",
      "For clustered hosts and arrays: each member may do with the objects of the others what the rules allow for the\n"
      "group, at first everything.",
      cmd_group_add },
    { "group remove", "NAME", 1, 1, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "remove a group",
      "Refused while rules name it.",
      cmd_group_remove },
    { "group list", "", 0, 0, LOCAL_JSON,
      "list groups, their members and roles",
      "",
      cmd_group_list },
    { "group share", "NAME YES|NO", 2, 2, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "say whether the members of a group share objects",
      "A group that shares nothing is still one to give roles and rules to.",
      cmd_group_share },
    { "group join", "NAME CLIENT", 2, 2, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "make a client a member of a group",
      "Of the same domain.",
      cmd_group_join },
    { "group leave", "NAME CLIENT", 2, 2, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "end a client's membership of a group",
      "Its objects stay its own.",
      cmd_group_leave },
    { "role add", "NAME", 1, 1, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "add a role, to which rules can be given",
      "",
      cmd_role_add },
    { "role remove", "NAME", 1, 1, LOCAL_JSON | O(DOMAIN) | O(WHY),
      "remove a role",
      "Refused while rules name it.",
      cmd_role_remove },
    { "role list", "", 0, 0, LOCAL_JSON,
      "list roles and who has them",
      "",
      cmd_role_list },
    { "role give", "NAME", 1, 1, LOCAL_JSON | O(CLIENT) | O(CLIENT_GROUP) | O(DOMAIN) | O(WHY),
      "give a role to a client or to all members of a group",
      "Of the same domain.",
      cmd_role_give },
    { "role take", "NAME", 1, 1, LOCAL_JSON | O(CLIENT) | O(CLIENT_GROUP) | O(DOMAIN) | O(WHY),
      "take a role from a client or a group",
      "A client keeps a role that it also has by a group.",
      cmd_role_take },
    { "policy allow", "SUBJECT PERMISSIONS", 2, 2, LOCAL_JSON | RULE,
      "add a rule that permits something",
      "SUBJECT is everyone, 'client NAME', 'group NAME' or 'role NAME'. PERMISSIONS are names that 'holdfast policy\n"
      "permissions' shows, @CLASS for all of a class, * for all, with commas between. All selectors must match. Of the\n"
      "rules that match, deny wins over approval and approval over allow; what none permits is refused.\n"
      "holdfast policy allow 'role backup' get,locate --name 'vol-*' --reason 'restores read keys'",
      cmd_policy_allow },
    { "policy deny", "SUBJECT PERMISSIONS", 2, 2, LOCAL_JSON | RULE,
      "add a rule that forbids something",
      "Whatever else permits it. SUBJECT and PERMISSIONS as in 'holdfast policy allow'.\n"
      "holdfast policy deny everyone destroy --until 2030-01-01 --reason 'freeze until the audit is over'",
      cmd_policy_deny },
    { "policy require-approval", "SUBJECT PERMISSIONS", 2, 2, LOCAL_JSON | RULE | O(APPROVALS),
      "add a rule that lets something wait for approval",
      "It is done only when so many administrators have approved it. SUBJECT and PERMISSIONS as in 'holdfast policy\n"
      "allow'. The rule also permits what was approved: select with --owner whose objects that may be.\n"
      "holdfast policy require-approval everyone destroy,revoke --owner group --approvals 2 --reason 'four eyes'",
      cmd_policy_require_approval },
    { "policy remove", "NUMBER", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "remove a rule",
      "",
      cmd_policy_remove },
    { "policy list", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(RULE_DOMAIN),
      "list the rules",
      "Number, domain, effect, subject and permissions of each, below them its selectors and why it was made.",
      cmd_policy_list },
    { "policy explain", "CLIENT OPERATION [ID]", 2, 3, LOCAL_JSON | O(DATABASE),
      "say what the rules decide, and why",
      "Shows each rule that is for the client and names the operation, whether it matches the object, and which one\n"
      "decides. OPERATION is a permission or a KMIP operation. Without an object it says as much as can be told.\n"
      "The question is audited.",
      cmd_policy_explain },
    { "policy permissions", "", 0, 0, LOCAL_JSON | O(DATABASE),
      "list what can be permitted",
      "Each permission and its class, and the rules that name it.",
      cmd_policy_permissions },
    { "policy bound-add", "SUBJECT", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY) | O(RULE_DOMAIN) | O(RULE_TYPE) |
      O(BOUND_ALGORITHM) | O(ALGORITHMS) | O(LEAST_LENGTH) | O(MOST_LENGTH) | O(PERMITTED) | O(REQUIRED) | O(PROTECTIONS) |
      O(MANDATORY) | O(MOST_LIFE) | O(RULE_NAME) | O(DESTROY_AFTER) | O(MOST_OBJECTS) | O(MOST_REQUESTS),
      "add a constraint",
      "Bounds what SUBJECT, as in 'holdfast policy allow', may make, change, destroy and ask. --type and --algorithm say\n"
      "for which objects; all other options are bounds. Of all constraints that match every one must hold.\n"
      "holdfast policy bound-add everyone --type SymmetricKey --algorithms AES --least-length 256 --reason 'house rule 7'",
      cmd_policy_bound_add },
    { "policy bound-remove", "NUMBER", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "remove a constraint",
      "",
      cmd_policy_bound_remove },
    { "policy bounds", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(RULE_DOMAIN),
      "list the constraints",
      "",
      cmd_policy_bounds },
    { "policy default-set", "TYPE ATTRIBUTES", 2, 2, LOCAL_JSON | O(DATABASE) | O(WHY) | O(RULE_DOMAIN),
      "set the defaults of an object type",
      "New objects of the type get these attributes where their maker gives none. ATTRIBUTES are a JSON object, as\n"
      "'holdfast key attributes --json' prints them; they stand instead of all earlier defaults of the type.\n"
      "holdfast policy default-set SymmetricKey '{\"CryptographicLength\": 256}' --reason 'house rule 8'",
      cmd_policy_default_set },
    { "policy default-remove", "TYPE", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY) | O(RULE_DOMAIN),
      "remove the defaults of an object type",
      "",
      cmd_policy_default_remove },
    { "policy defaults", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(RULE_DOMAIN),
      "list the defaults",
      "",
      cmd_policy_defaults },
    { "policy export", "[DOMAIN]", 0, 1, LOCAL_JSON | O(DATABASE) | O(OUT),
      "write the policy as one file",
      "Of one domain, or of all: who is in which group and role, rules, constraints, defaults and the settings of clients,\n"
      "as told in holdfast-policy(5). The same policy is the same file, for version control.",
      cmd_policy_export },
    { "policy diff", "FILE", 1, 1, LOCAL_JSON | O(DATABASE),
      "say what a policy file would change",
      "A line for each change: + is new, - goes, ~ becomes different. No line: the policy is what the file says. FILE may\n"
      "be - for standard input.",
      cmd_policy_diff },
    { "policy apply", "FILE", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY) | O(YES),
      "make the policy what a file says",
      "Shows what it will change, and asks. All of it is done or nothing, and nothing where the policy was changed by others\n"
      "meanwhile. Holds from the clients' next requests on. Domains that the file does not have stay as they are.",
      cmd_policy_apply },
    { "requests", "", 0, 0, LOCAL_JSON | O(DATABASE),
      "list what waits for the approval of administrators",
      "What clients asked for and a rule with the effect approval keeps from them until then.",
      cmd_requests },
    { "approve", "NUMBER", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "approve what a client asked for",
      "By its number in 'holdfast requests'. Each administrator counts once; an administrator with the name of the client\n"
      "that asks not at all. Once as many have approved as the rule wants, the client's next request is done, once.",
      cmd_approve },
    { "refuse", "NUMBER", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "refuse what a client asked for",
      "Or take an approval back that was not used yet. The client may ask again, which is another request.",
      cmd_refuse },
    { "audit verify", "[FILE]", 0, 1, LOCAL_JSON | O(DATABASE),
      "check the chain of all audit rows, or of an exported file",
      "Names each row that was changed, removed or reordered. Exit code 6 if there is one. A superuser of PostgreSQL,\n"
      "who can set the head of a stream back together with its last rows, is found out only by a copy of\n"
      "audit.streams that lies elsewhere: no head in it may be higher than the present one. With FILE it verifies what\n"
      "'holdfast audit export' wrote, on any machine, without server and database.",
      cmd_audit_verify },
    { "audit tail", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(LINES),
      "show the latest audit events",
      "",
      cmd_audit_tail },
    { "audit export", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(AUDIT_FROM) | O(AUDIT_UNTIL) | O(AUDIT_MONTH) |
      O(AUDIT_CLIENT) | O(AUDIT_KEY) | O(AUDIT_FORMAT) | O(OUT),
      "write audit events to a file that can be verified offline",
      "All events, or those of a period, a client or a key, from one snapshot, with all fields that their hashes cover.\n"
      "The export itself is recorded in the audit trail. See holdfast-audit(7) for the format.",
      cmd_audit_export },
    { "audit partitions", "", 0, 0, LOCAL_JSON | O(DATABASE) | O(AUDIT_VERIFY),
      "list the months of the audit trail and whether they may be dropped",
      "",
      cmd_audit_partitions },
    { "audit retention", "MONTHS", 1, 1, LOCAL_JSON | O(DATABASE) | O(WHY),
      "set how long audit rows are kept at least",
      "Whole months after the end of a month. Until it is set nothing may be dropped; afterwards nothing goes by itself.",
      cmd_audit_retention },
    { "audit drop", "MONTH", 1, 1, LOCAL_JSON | O(DATABASE) | O(AUDIT_EXPORT) | O(WHY),
      "let a month of the audit trail go, against a signed stub",
      "The month must be older than the retention period, its rows must verify, and --export must be its whole and\n"
      "right export. The running server on this machine has its TPM sign the stub that stays in the database and by\n"
      "which 'holdfast audit verify' knows that these rows, and no others, went. Appends wait for a moment.",
      cmd_audit_drop },
    { "audit stubs", "", 0, 0, LOCAL_JSON | O(DATABASE),
      "list the months that were dropped, and verify their signatures",
      "",
      cmd_audit_stubs },
    { "audit forward", "[DESTINATION]", 0, 1, LOCAL_JSON | O(DATABASE) | O(STATUS) | O(ONCE) | O(FORGET) | O(WHY),
      "forward the audit trail to a syslog receiver",
      "Runs until it is stopped, as a service of its own, one for each destination of [forward] destinations. Sends each\n"
      "audit row as one message of RFC 5424, at least once: it may be killed at any moment, and what the receiver may not\n"
      "have is sent again. Stream and seq tell a row sent twice. A second process for the same destination stands by.\n"
      "--forget ends a destination for good, with a --reason: retention waits for it no longer.",
      cmd_audit_forward },
    { "help", "[COMMAND]", 0, 2, O(HELP) | O(TABLE),
      "explain a command",
      "",
      cmd_help },
    { "version", "", 0, 0, O(HELP),
      "print the version",
      "",
      cmd_version },
    { NULL, NULL, 0, 0, 0, NULL, NULL, NULL },
};
