# tests/interop: clients that we did not write, or whose habits we play. Run by tests/system/run.py, on its server.
EXTRA_DIST += \
	tests/interop/clients/barbican.replay \
	tests/interop/clients/ceph-rgw.replay \
	tests/interop/clients/edb-postgres.replay \
	tests/interop/clients/fortigate.replay \
	tests/interop/clients/hpe-data-fabric.replay \
	tests/interop/clients/ibm-db2.replay \
	tests/interop/clients/libmongocrypt.replay \
	tests/interop/clients/mysql-enterprise.replay \
	tests/interop/clients/netapp-ontap.replay \
	tests/interop/clients/openbao.replay \
	tests/interop/clients/percona-mongodb.replay \
	tests/interop/clients/percona-mysql.replay \
	tests/interop/clients/pg-tde.replay \
	tests/interop/clients/synology-dsm.replay \
	tests/interop/clients/truenas.replay \
	tests/interop/clients/vast-data.replay \
	tests/interop/clients/veeam.replay \
	tests/interop/clients/vmware-vcenter.replay \
	tests/interop/names.py \
	tests/interop/replay.py \
	tests/interop/rules/02-names-of-policies.replay \
	tests/interop/rules/03-locate-2.replay \
	tests/interop/rules/03-locate-pages.replay \
	tests/interop/rules/03-locate.replay \
	tests/interop/rules/04-size-of-answers.replay \
	tests/interop/rules/05-time-stamps.replay \
	tests/interop/rules/07-credentials-1.0.replay \
	tests/interop/rules/07-credentials.replay \
	tests/interop/rules/08-batches-2.replay \
	tests/interop/rules/08-batches.replay \
	tests/interop/rules/09-life.replay \
	tests/interop/rules/10-cryptography.replay \
	tests/interop/script.py \
	tests/interop/test_pykmip.py \
	tests/interop/test_replays.py \
	tests/interop/test_rules.py
