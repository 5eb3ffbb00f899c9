/* trust: a library to preload that makes libcurl trust the certificates in the file that TRUST_FILE
 * names, in place of the system's. Built and used by tests/integration only. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>

__attribute__((visibility("default"))) CURL *curl_easy_init(void)
{
	static CURL *(*real)(void);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_init"); /* as dlsym(3) advises */
	CURL *easy = real();
	const char *path = getenv("TRUST_FILE");
	if (easy && path)
		(void)curl_easy_setopt(easy, CURLOPT_CAINFO, path);
	return easy;
}
