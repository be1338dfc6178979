# deploy: what an operator meets first: quick start, tests, manual pages, units, examples. No code of the server.
EXTRA_DIST += \
	.ci/run \
	deploy/completion/holdfast \
	deploy/holdfast.conf.example \
	deploy/keeper \
	deploy/lib.sh \
	deploy/quickstart \
	deploy/quickstart-database.sh \
	deploy/quickstart-processes.sh \
	deploy/systemd/holdfast-forward@.service.in \
	deploy/systemd/holdfastd.service.in \
	deploy/test
dist_man_MANS += deploy/man/holdfast.1 deploy/man/holdfast-policy.5 deploy/man/holdfast.conf.5 \
	deploy/man/holdfast-audit.7 deploy/man/holdfastd.8

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = deploy/completion/holdfast

# The unit names the programs where they are installed; it lies beside them, for the packager to place.
systemdunitdir = $(pkgdatadir)
nodist_systemdunit_DATA = deploy/systemd/holdfastd.service deploy/systemd/holdfast-forward@.service
exampledir = $(docdir)
dist_example_DATA = deploy/holdfast.conf.example README.md
CLEANFILES += deploy/systemd/holdfastd.service deploy/systemd/holdfast-forward@.service
deploy/systemd/holdfastd.service: $(srcdir)/deploy/systemd/holdfastd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) deploy/systemd && \
	sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    $(srcdir)/deploy/systemd/holdfastd.service.in >$@.new && mv $@.new $@
deploy/systemd/holdfast-forward@.service: $(srcdir)/deploy/systemd/holdfast-forward@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) deploy/systemd && \
	sed -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    $(srcdir)/deploy/systemd/holdfast-forward@.service.in >$@.new && mv $@.new $@
