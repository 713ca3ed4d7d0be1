// Text of numbers, exactly as Prometheus (Go's strconv) reads and writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin {

// The JSON API's text (http-api.md §1.4): shortest that reads back; plain decimals, but exponent
// form when |v| < 1e-6 or |v| ≥ 1e21 (`1e-07`, `1e+21`); `NaN`, `+Inf`, `-Inf`, `-0`.
std::string FormatFloat(double v);
void AppendFloat(std::string& out, double v);

// Go's FormatFloat(v, 'f', -1): never an exponent (PromQL text results, `le` values in the engine).
std::string FormatFloatDecimal(double v);

// Go's FormatFloat(v, 'g', -1), which is also %v: an exponent when it is below -4 or from 6 on, as
// `1e+06` (exposition format, templates).
std::string FormatFloatGo(double v);

// Go's ParseFloat: decimal or hexadecimal (`0x1p-2`), `_` between digits, any case of inf,
// infinity, nan. A magnitude that does not fit is refused, as there. NaN gives bits
// 0x7ff8000000000001, Prometheus' ordinary NaN.
std::optional<double> ParseFloat(std::string_view text);
// The same without `_` and hexadecimal: what exposition formats allow.
std::optional<double> ParseFloatPlain(std::string_view text);

// The whole text, no sign but '-', no spaces; nothing when it does not fit.
std::optional<int64_t> ParseInt64(std::string_view text);
std::optional<uint64_t> ParseUint64(std::string_view text);

// Go's ParseBool: 1 t T true TRUE True 0 f F false FALSE False.
std::optional<bool> ParseBool(std::string_view text);

}  // namespace tocsin
