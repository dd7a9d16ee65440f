/* The few functions of libsodium that libzmq's test of CURVE calls: the wheel of pyzmq has the library, not
   its header. */
#include <stddef.h>

#define crypto_box_PUBLICKEYBYTES 32U
#define crypto_box_SECRETKEYBYTES 32U
#define crypto_box_BEFORENMBYTES 32U
#define crypto_box_NONCEBYTES 24U
#define crypto_box_ZEROBYTES 32U
#define crypto_box_BOXZEROBYTES 16U
#define crypto_secretbox_KEYBYTES 32U
#define crypto_secretbox_NONCEBYTES 24U
#define crypto_secretbox_ZEROBYTES 32U
#define crypto_secretbox_BOXZEROBYTES 16U

#ifdef __cplusplus
extern "C" {
#endif
int sodium_init(void);
int randombytes_close(void);
void randombytes(unsigned char *octets, unsigned long long size);
void *sodium_allocarray(size_t count, size_t size);
void sodium_free(void *octets);
void sodium_memzero(void *octets, size_t size);
int crypto_box_keypair(unsigned char *public_key, unsigned char *secret_key);
int crypto_box(unsigned char *box, const unsigned char *plain, unsigned long long size,
               const unsigned char *nonce, const unsigned char *public_key, const unsigned char *secret_key);
int crypto_box_open(unsigned char *plain, const unsigned char *box, unsigned long long size,
                    const unsigned char *nonce, const unsigned char *public_key, const unsigned char *secret_key);
int crypto_box_beforenm(unsigned char *shared, const unsigned char *public_key, const unsigned char *secret_key);
int crypto_box_afternm(unsigned char *box, const unsigned char *plain, unsigned long long size,
                       const unsigned char *nonce, const unsigned char *shared);
int crypto_box_open_afternm(unsigned char *plain, const unsigned char *box, unsigned long long size,
                            const unsigned char *nonce, const unsigned char *shared);
#ifdef __cplusplus
}
#endif
