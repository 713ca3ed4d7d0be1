// Which parts of the language are switched on.
#pragma once

namespace tocsin::query {

// Syntax and semantics that the reference keeps (or kept) behind --enable-feature. The defaults are
// those of 3.14: duration expressions became part of the plain language there, and their switch
// does nothing any more.
struct LanguageOptions {
  bool experimental_functions = false;    // promql-experimental-functions
  bool duration_expressions = true;       // promql-duration-expr
  bool extended_range_selectors = false;  // promql-extended-range-selectors (anchored, smoothed)
  bool binop_fill_modifiers = false;      // promql-binop-fill-modifiers
  bool delayed_name_removal = false;      // promql-delayed-name-removal
  bool start_timestamps =
      false;  // rate & co. use stored start timestamps (created-timestamp features)
  bool type_and_unit_labels = false;  // type-and-unit-labels

  friend bool operator==(const LanguageOptions&, const LanguageOptions&) = default;

  // Everything on: what the conformance scripts assume, type and unit labels apart.
  static LanguageOptions All() {
    LanguageOptions all;
    all.experimental_functions = true;
    all.duration_expressions = true;
    all.extended_range_selectors = true;
    all.binop_fill_modifiers = true;
    all.delayed_name_removal = true;
    all.start_timestamps = true;
    return all;
  }
};

}  // namespace tocsin::query
