-- All algorithms of KMIP 2.1 in words, now that keys are made for them: 0007_views.sql had those up to 1.4.
CREATE OR REPLACE FUNCTION audit.algorithm_name(algorithm bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN algorithm = 0 THEN NULL ELSE coalesce((string_to_array(
        'DES,3DES,AES,RSA,DSA,ECDSA,HMAC-SHA1,HMAC-SHA224,HMAC-SHA256,HMAC-SHA384,HMAC-SHA512,HMAC-MD5,'
     || 'DH,ECDH,ECMQV,Blowfish,Camellia,CAST5,IDEA,MARS,RC2,RC4,RC5,SKIPJACK,Twofish,EC,One Time Pad,'
     || 'ChaCha20,Poly1305,ChaCha20Poly1305,SHA3-224,SHA3-256,SHA3-384,SHA3-512,HMAC-SHA3-224,'
     || 'HMAC-SHA3-256,HMAC-SHA3-384,HMAC-SHA3-512,SHAKE-128,SHAKE-256,ARIA,SEED,SM2,SM3,SM4,'
     || 'GOST R 34.10-2012,GOST R 34.11-2012,GOST R 34.13-2015,GOST 28147-89,XMSS,SPHINCS-256,McEliece,'
     || 'McEliece-6960119,McEliece-8192128,Ed25519,Ed448', ','))[algorithm], '0x' || to_hex(algorithm)) END;
COMMENT ON FUNCTION audit.algorithm_name IS 'KMIP Cryptographic Algorithm in words';
