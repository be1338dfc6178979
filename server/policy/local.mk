# server/policy: decisions, from facts to yes or no. Knows proto and server/base only.
noinst_LIBRARIES += server/policy/libpolicy.a
server_policy_libpolicy_a_SOURCES = server/policy/policy.c server/policy/policy.h \
	server/policy/quirk.c server/policy/quirk.h server/policy/bounds.c server/policy/bounds.h \
	server/policy/rules.c server/policy/rules.h server/policy/match.c server/policy/match.h
