// Scripts (query/testing/test_script.h) over the fake store, for tests of the engine.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string_view>

#include "query/engine.h"
#include "query/testing/script_runner.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {

// Fails unless every eval of the script does as it says, and there is one.
inline void CheckScript(std::string_view script, bool delayed_name_removal) {
  EngineOptions options = ScriptEngineOptions();
  options.language.delayed_name_removal = delayed_name_removal;
  Engine engine(options);
  FakeScriptStorage storage;
  const ScriptResult result = RunTestScript(script, ScriptOptions{}, &engine, &storage);
  BOOST_TEST(result.failures.empty(), DescribeScriptResult("script", result));
  BOOST_TEST(result.passed > 0);
}

}  // namespace tocsin::query
