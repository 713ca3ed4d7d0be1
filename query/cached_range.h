// How a range query is answered with the help of the result cache (result_cache.h): which steps of
// an extent may be used, what is evaluated instead, and what is kept of the new answer.
#pragma once

#include "base/status.h"
#include "query/active_queries.h"
#include "query/engine.h"
#include "query/result_cache.h"

namespace tocsin::query {

// As Engine::Range. Equal in every bit to an evaluation of all steps. `settled_until_ms` was asked
// for just before (service.h).
Result<SharedResult> AnswerThroughCache(Engine* engine, ResultCache* cache,
                                        const model::Queryable& store, const QueryDescription& what,
                                        const QueryOptions& options,
                                        model::Timestamp settled_until_ms);

}  // namespace tocsin::query
