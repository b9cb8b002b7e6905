/* For the relays of a private test network only: gives tor a ready RSA-2048 link key instead of letting it make one at each start
 * (0.15 to 0.9 s of CPU a relay). The key is a PEM file named by EXITPIN_LAB_LINK_KEY; without it, or for any other size, the
 * real function is called. Links between such relays are not secret: never preload this into a tor on the real network.
 *
 * No OpenSSL header is needed to build it: the few prototypes below have been the same since OpenSSL 1.1.0. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

typedef struct rsa_st RSA;
typedef struct bignum_st BIGNUM;
typedef struct bio_st BIO;
typedef struct bn_gencb_st BN_GENCB;

extern BIO *BIO_new_file(const char *name, const char *mode);
extern int BIO_free(BIO *bio);
extern RSA *PEM_read_bio_RSAPrivateKey(BIO *bio, RSA **rsa, void *callback, void *user);
extern void RSA_free(RSA *rsa);
extern BIGNUM *BN_dup(const BIGNUM *number);
extern void RSA_get0_key(const RSA *, const BIGNUM **n, const BIGNUM **e, const BIGNUM **d);
extern void RSA_get0_factors(const RSA *, const BIGNUM **p, const BIGNUM **q);
extern void RSA_get0_crt_params(const RSA *, const BIGNUM **dp, const BIGNUM **dq, const BIGNUM **qinv);
extern int RSA_set0_key(RSA *, BIGNUM *n, BIGNUM *e, BIGNUM *d);
extern int RSA_set0_factors(RSA *, BIGNUM *p, BIGNUM *q);
extern int RSA_set0_crt_params(RSA *, BIGNUM *dp, BIGNUM *dq, BIGNUM *qinv);

typedef int generate_fn(RSA *rsa, int bits, BIGNUM *e, BN_GENCB *callback);

__attribute__((visibility("default"))) generate_fn RSA_generate_key_ex;

static RSA *read_key(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	RSA *key = bio ? PEM_read_bio_RSAPrivateKey(bio, NULL, NULL, NULL) : NULL;

	if (bio)
		BIO_free(bio);
	return key;
}

/* 1 when all of `from` was copied into `to`, else 0. */
static int copy_key(RSA *to, const RSA *from)
{
	const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qinv;

	RSA_get0_key(from, &n, &e, &d);
	RSA_get0_factors(from, &p, &q);
	RSA_get0_crt_params(from, &dp, &dq, &qinv);
	return RSA_set0_key(to, BN_dup(n), BN_dup(e), BN_dup(d)) && RSA_set0_factors(to, BN_dup(p), BN_dup(q)) &&
	       RSA_set0_crt_params(to, BN_dup(dp), BN_dup(dq), BN_dup(qinv));
}

/* As RSA_generate_key_ex(3): 1 on success, 0 on failure. */
int RSA_generate_key_ex(RSA *rsa, int bits, BIGNUM *e, BN_GENCB *callback)
{
	const char *path = bits == 2048 ? getenv("EXITPIN_LAB_LINK_KEY") : NULL;
	RSA *ready = path ? read_key(path) : NULL;
	int copied = ready && copy_key(rsa, ready);
	generate_fn *real;

	if (ready)
		RSA_free(ready);
	if (copied)
		return 1;
	*(void **)&real = dlsym(RTLD_NEXT, "RSA_generate_key_ex");
	return real ? real(rsa, bits, e, callback) : 0;
}
