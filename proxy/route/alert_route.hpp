// One [[alert]] with everything that it names loaded: where its messages go, and what they look
// like.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/web_url.hpp"
#include "proxy/route/alert_template.hpp"
#include "tls/web_context.hpp"

namespace proxy {

struct AlertRoute {
    config::Alert settings;
    std::optional<config::WebUrl> url;           ///< nullopt: a command
    std::string token;                           ///< empty: none
    std::unique_ptr<const tls::WebContext> tls;  ///< nullptr: a command, or http://
    AlertTemplate own_form;                      ///< instead of settings.form, if there is one

    /// For people: "https://hooks.example.com/...", or the program.
    std::string shown() const;
};

struct LineLimits {
    std::size_t shortest = 1;
    std::size_t longest = 4096;
};

/// A secret line, which may end with a line break; empty when `file` is none, or an error was
/// added.
std::string load_secret_line(const config::File& file, LineLimits limits, std::vector<config::Diagnostic>& errors);

std::shared_ptr<const AlertRoute> load_alert(const config::Alert& settings, std::vector<config::Diagnostic>& errors,
                                             std::vector<config::Diagnostic>& warnings);

}  // namespace proxy
