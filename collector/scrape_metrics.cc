#include "collector/scrape_metrics.h"

namespace tocsin::collector {
namespace {

Counter& Failed(const char* reason) {
  return SelfMetrics::Default().GetCounter("tocsin_scrapes_failed_total",
                                           "Scrapes that brought no page that could be kept.",
                                           {{"reason", reason}});
}

Counter& Lost(const char* reason) {
  return SelfMetrics::Default().GetCounter("tocsin_scrape_samples_lost_total",
                                           "Scraped samples that were not stored.",
                                           {{"reason", reason}});
}

Counter& Unseen(const char* reason) {
  return SelfMetrics::Default().GetCounter("tocsin_lost_samples_total",
                                           "Samples received and not kept.", {{"reason", reason}});
}

Counter& Plain(const char* name, const char* help) {
  return SelfMetrics::Default().GetCounter(name, help);
}

}  // namespace

ScrapeMetrics::ScrapeMetrics()
    : skipped(Plain("tocsin_scrapes_skipped_total",
                    "Scrapes left out because the one before took too long.")),
      scrapes_(Plain("tocsin_scrapes_total", "Scrapes, failed ones included.")),
      samples_(Plain("tocsin_scrape_samples_total", "Samples found in pages.")),
      body_bytes_(Plain("tocsin_scrape_body_bytes_total", "Bytes of pages, inflated.")),
      failed_timeout_(Failed("timeout")),
      failed_unreachable_(Failed("unreachable")),
      failed_limit_(Failed("limit")),
      failed_other_(Failed("page")),
      lost_duplicate_(Lost("duplicate")),
      lost_out_of_order_(Lost("out_of_order")),
      lost_too_old_(Lost("too_old")),
      lost_future_(Lost("too_far_in_future")),
      lost_over_limit_(Lost("over_limit")),
      unseen_repeated_(Unseen("repeated_in_page")),
      unseen_series_(Unseen("series_limit")),
      unseen_page_(Unseen("page_refused")) {}

void ScrapeMetrics::CountScrape(const Status& status, uint64_t samples, int64_t body_bytes) {
  scrapes_.Add();
  samples_.Add(samples);
  body_bytes_.Add(static_cast<uint64_t>(body_bytes));
  switch (status.code()) {
    case Code::kOk:
      break;
    case Code::kDeadlineExceeded:
      failed_timeout_.Add();
      break;
    case Code::kUnavailable:
      failed_unreachable_.Add();
      break;
    case Code::kResourceExhausted:
      failed_limit_.Add();
      break;
    default:
      failed_other_.Add();
  }
}

void ScrapeMetrics::CountLost(const RecordOutcome& outcome) {
  lost_duplicate_.Add(outcome.duplicates);
  lost_out_of_order_.Add(outcome.out_of_order);
  lost_too_old_.Add(outcome.too_old);
  lost_future_.Add(outcome.too_far_in_future);
  lost_over_limit_.Add(outcome.over_limit);
  unseen_repeated_.Add(outcome.repeated_in_page);
  unseen_series_.Add(outcome.refused_series);
  unseen_page_.Add(outcome.refused_with_page);
}

}  // namespace tocsin::collector
