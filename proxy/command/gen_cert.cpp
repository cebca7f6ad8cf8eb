// `pgairlock gen-cert`: the private CA and certificates of the client leg.
#include <cstdio>
#include <exception>

#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"
#include "tls/authority.hpp"

namespace proxy::command {

int gen_cert(const GenCertOptions& options) {
    try {
        std::string dir = options.ca_dir;
        if (dir.empty()) {
            const std::string state = state_dir(options.state_dir);
            create_state_dir(state);
            dir = state + "/tls";
        }
        const tls::IssuedFiles files = tls::issue(dir, options.hosts);
        std::printf("%s %s\n", files.ca_created ? "created" : "used existing", files.ca_cert.c_str());
        for (const std::string& path : {files.ecdsa_cert, files.ecdsa_key, files.rsa_cert, files.rsa_key}) {
            std::printf("wrote %s\n", path.c_str());
        }
        std::printf("Give %s to the clients that verify (sslrootcert).\n", files.ca_cert.c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return exit_usage;
    }
    return exit_ok;
}

}  // namespace proxy::command
