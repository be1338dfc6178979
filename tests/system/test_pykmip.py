"""PyKMIP as a client that we did not write: the main job in 1.2 and 2.0."""
import tap


def run(state):
    try:
        from kmip.core import enums
        from kmip.pie import objects
        from kmip.pie.client import ProxyKmipClient
    except Exception as error:
        tap.skip("PyKMIP", "cannot be imported by this Python: %s" % type(error).__name__)
        return
    for version in (enums.KMIPVersion.KMIP_1_2, enums.KMIPVersion.KMIP_2_0):
        one_version(state, enums, objects, ProxyKmipClient, version)


def one_version(state, enums, objects, client_class, version):
    name = version.name
    link = client_class(hostname=state.env["HOLDFAST_HOST"], port=int(state.env["HOLDFAST_PORT"]),
                          cert=state.env["HOLDFAST_CERT"], key=state.env["HOLDFAST_KEY"],
                          ca=state.env["HOLDFAST_CA"], ssl_version="PROTOCOL_TLSv1_2", kmip_version=version)
    masks = [enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT]
    with link:
        made = link.create(enums.CryptographicAlgorithm.AES, 256, name="pykmip-" + name, cryptographic_usage_mask=masks)
        tap.ok(isinstance(made, str) and made, "PyKMIP %s: create" % name)
        material = bytes(range(16))
        key = objects.SymmetricKey(enums.CryptographicAlgorithm.AES, 128, material, masks=masks,
                                   name="pykmip-registered-" + name)
        registered = link.register(key)
        tap.ok(isinstance(registered, str), "PyKMIP %s: register a key" % name)
        tap.ok(link.get(registered).value == material, "PyKMIP %s: get gives the bytes registered" % name)
        secret = objects.SecretData(b"a secret of clients", enums.SecretDataType.PASSWORD, masks=masks,
                                    name="pykmip-secret-" + name)
        registered_secret = link.register(secret)
        tap.ok(link.get(registered_secret).value == b"a secret of clients", "PyKMIP %s: register and get a secret" % name)
        opaque = objects.OpaqueObject(b"opaque bytes", enums.OpaqueDataType.NONE, name="pykmip-opaque-" + name)
        registered_opaque = link.register(opaque)
        tap.ok(link.get(registered_opaque).value == b"opaque bytes", "PyKMIP %s: register and get opaque bytes" % name)
        got = link.get(made)
        tap.ok(got.cryptographic_length == 256 and len(got.value) == 32, "PyKMIP %s: get" % name)
        from kmip.core.factories.attributes import AttributeFactory
        wanted = AttributeFactory().create_attribute(enums.AttributeType.NAME, "pykmip-" + name)
        found = link.locate(attributes=[wanted])
        tap.ok(found == [made], "PyKMIP %s: locate by name" % name, found)
        uid, attributes = link.get_attributes(made, ["State", "Cryptographic Length"])
        values = {str(a.attribute_name.value): a.attribute_value.value for a in attributes}
        tap.ok(uid == made and values.get("State") == enums.State.PRE_ACTIVE
               and values.get("Cryptographic Length") == 256, "PyKMIP %s: attributes" % name, values)
        link.activate(made)
        _, attributes = link.get_attributes(made, ["State"])
        tap.ok(attributes[0].attribute_value.value == enums.State.ACTIVE, "PyKMIP %s: activate" % name)
        try:
            link.destroy(made)
            tap.ok(False, "PyKMIP %s: an Active key is not destroyed" % name)
        except Exception as error:
            tap.ok("PERMISSION_DENIED" in str(error) or "WRONG_KEY_LIFECYCLE" in str(error).upper()
                   or "denied" in str(error).lower(), "PyKMIP %s: an Active key is not destroyed" % name, error)
        link.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, made)
        _, attributes = link.get_attributes(made, ["State"])
        tap.ok(attributes[0].attribute_value.value == enums.State.DEACTIVATED, "PyKMIP %s: revoke" % name)
        link.destroy(made)
        try:
            link.get(made)
            tap.ok(False, "PyKMIP %s: a destroyed key is gone" % name)
        except Exception:
            tap.ok(True, "PyKMIP %s: a destroyed key is gone" % name)
