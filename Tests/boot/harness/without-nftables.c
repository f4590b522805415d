/* libnftables.so.1 for a kernel without nftables: Debian's ends the program there, and criu asks it before it does anything.
   Every command fails, which criu takes. */
#include <stddef.h>

struct nft_ctx;

struct nft_ctx *nft_ctx_new(unsigned flags) {
    static char nothing;
    (void)flags;
    return (struct nft_ctx *)&nothing;
}
void nft_ctx_free(struct nft_ctx *ctx) { (void)ctx; }
int nft_ctx_buffer_output(struct nft_ctx *ctx) { return ctx == NULL; }
int nft_ctx_buffer_error(struct nft_ctx *ctx) { return ctx == NULL; }
const char *nft_ctx_get_error_buffer(struct nft_ctx *ctx) { return ctx ? "no nftables" : ""; }
void *nft_ctx_set_output(struct nft_ctx *ctx, void *stream) { return ctx ? stream : NULL; }
void *nft_ctx_set_error(struct nft_ctx *ctx, void *stream) { return ctx ? stream : NULL; }
int nft_run_cmd_from_buffer(struct nft_ctx *ctx, const char *text) {
    (void)ctx;
    (void)text;
    return -1;
}
